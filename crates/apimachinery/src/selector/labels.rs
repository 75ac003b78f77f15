//! `labelSelector`: set-based requirements on labels (`k8s.io/apimachinery/pkg/labels`).
use std::fmt;

use serde_json::{Map, Value};

use crate::names;

/// How a requirement compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The label has one of the values.
    In,
    /// The label is absent or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// The label is a number above the value.
    GreaterThan,
    /// The label is a number below the value.
    LessThan,
}

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRequirement {
    /// Label key.
    pub key: String,
    /// Comparison.
    pub operator: Operator,
    /// Values; sorted.
    pub values: Vec<String>,
}

/// All requirements must hold; without any, everything matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    /// The requirements.
    pub requirements: Vec<LabelRequirement>,
}

impl LabelSelector {
    /// Whether everything matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Parses `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1,m<2`.
    ///
    /// # Errors
    /// What is wrong, for a 400.
    pub fn parse(text: &str) -> Result<Self, String> {
        Parser { text, at: 0 }.parse()
    }

    /// Whether an object with these labels matches.
    #[must_use]
    pub fn matches(&self, labels: Option<&Map<String, Value>>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels
                .and_then(|labels| labels.get(&requirement.key))
                .and_then(Value::as_str);
            requirement.matches(value)
        })
    }
}

impl LabelRequirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let number = |text: &str| text.parse::<i64>().ok();
        match (self.operator, value) {
            (Operator::In, Some(value)) => self.values.iter().any(|wanted| wanted == value),
            (Operator::NotIn, Some(value)) => !self.values.iter().any(|wanted| wanted == value),
            (Operator::Exists, value) => value.is_some(),
            (Operator::DoesNotExist, value) => value.is_none(),
            (Operator::GreaterThan | Operator::LessThan, Some(value)) => {
                let wanted = self.values.first().and_then(|wanted| number(wanted));
                match (number(value), wanted) {
                    (Some(value), Some(wanted)) if self.operator == Operator::GreaterThan => value > wanted,
                    (Some(value), Some(wanted)) => value < wanted,
                    _ => false,
                }
            }
            (Operator::NotIn, None) => true,
            (Operator::In | Operator::GreaterThan | Operator::LessThan, None) => false,
        }
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (
            index,
            LabelRequirement {
                key,
                operator,
                values,
            },
        ) in self.requirements.iter().enumerate()
        {
            if index > 0 {
                f.write_str(",")?;
            }
            let values = values.join(",");
            match operator {
                Operator::In if !values.contains(',') => write!(f, "{key}={values}"),
                Operator::NotIn if !values.contains(',') => write!(f, "{key}!={values}"),
                Operator::In => write!(f, "{key} in ({values})"),
                Operator::NotIn => write!(f, "{key} notin ({values})"),
                Operator::Exists => write!(f, "{key}"),
                Operator::DoesNotExist => write!(f, "!{key}"),
                Operator::GreaterThan => write!(f, "{key}>{values}"),
                Operator::LessThan => write!(f, "{key}<{values}"),
            }?;
        }
        Ok(())
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

#[derive(Debug, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    Sign(&'static str),
    End,
}

const SIGNS: [&str; 9] = ["==", "!=", "!", "=", "(", ")", ",", ">", "<"];

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Token<'a> {
        let at = self.at;
        let token = self.next();
        self.at = at;
        token
    }

    fn next(&mut self) -> Token<'a> {
        let text = self.text;
        let rest = &text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        if trimmed.is_empty() {
            return Token::End;
        }
        if let Some(sign) = SIGNS.into_iter().find(|sign| trimmed.starts_with(sign)) {
            self.at += sign.len();
            return Token::Sign(sign);
        }
        let special = |c: char| c.is_whitespace() || matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<');
        let end = trimmed.find(special).unwrap_or(trimmed.len());
        self.at += end;
        Token::Word(&trimmed[..end])
    }

    fn parse(mut self) -> Result<LabelSelector, String> {
        let mut requirements = Vec::new();
        if self.peek() == Token::End {
            return Ok(LabelSelector { requirements });
        }
        loop {
            requirements.push(self.requirement()?);
            match self.next() {
                Token::End => break,
                Token::Sign(",") => {
                    if self.peek() == Token::End {
                        return Err("found '', expected: identifier after ','".into());
                    }
                }
                other => {
                    return Err(format!(
                        "found '{}', expected: ',' or 'end of string'",
                        text_of(&other)
                    ));
                }
            }
        }
        // Kubernetes sorts by key, so that equal selectors print alike.
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(LabelSelector { requirements })
    }

    fn requirement(&mut self) -> Result<LabelRequirement, String> {
        let (negated, key) = match self.next() {
            Token::Sign("!") => (true, self.next()),
            token => (false, token),
        };
        let Token::Word(key) = key else {
            return Err(format!("found '{}', expected: identifier", text_of(&key)));
        };
        names::qualified_name(key).map_err(|error| format!("key: Invalid value: {key:?}: {error}"))?;
        let key = key.to_owned();
        if negated {
            return Ok(LabelRequirement {
                key,
                operator: Operator::DoesNotExist,
                values: Vec::new(),
            });
        }
        let (operator, values) = match self.peek() {
            Token::End | Token::Sign(",") => (Operator::Exists, Vec::new()),
            Token::Sign("=" | "==") => (Operator::In, self.exact_value()?),
            Token::Sign("!=") => (Operator::NotIn, self.exact_value()?),
            Token::Sign(">") => (Operator::GreaterThan, self.number()?),
            Token::Sign("<") => (Operator::LessThan, self.number()?),
            Token::Word("in") => (Operator::In, self.set()?),
            Token::Word("notin") => (Operator::NotIn, self.set()?),
            other => {
                return Err(format!(
                    "found '{}', expected: in, notin, =, ==, !=, gt, lt",
                    text_of(&other)
                ));
            }
        };
        for value in &values {
            names::label_value(value)
                .map_err(|error| format!("values[0][{key}]: Invalid value: {value:?}: {error}"))?;
        }
        Ok(LabelRequirement {
            key,
            operator,
            values,
        })
    }

    fn exact_value(&mut self) -> Result<Vec<String>, String> {
        self.next();
        match self.peek() {
            Token::Word(value) => {
                self.next();
                Ok(vec![value.to_owned()])
            }
            Token::End | Token::Sign(",") => Ok(vec![String::new()]),
            other => Err(format!("found '{}', expected: identifier", text_of(&other))),
        }
    }

    fn number(&mut self) -> Result<Vec<String>, String> {
        let values = self.exact_value()?;
        match values.first().map(|value| value.parse::<i64>()) {
            Some(Ok(_)) => Ok(values),
            _ => Err(format!(
                "values[0]: Invalid value: {:?}: for 'Gt', 'Lt' operators, the value must be an integer",
                values.first().map_or("", String::as_str)
            )),
        }
    }

    fn set(&mut self) -> Result<Vec<String>, String> {
        self.next();
        match self.next() {
            Token::Sign("(") => {}
            other => return Err(format!("found '{}' expected: '('", text_of(&other))),
        }
        let mut values = Vec::new();
        let mut expects_value = true;
        loop {
            match self.next() {
                Token::Word(value) if expects_value => {
                    values.push(value.to_owned());
                    expects_value = false;
                }
                Token::Sign(",") => {
                    // An empty item, as in `(a,)`, stands for the empty value.
                    if expects_value {
                        values.push(String::new());
                    }
                    expects_value = true;
                }
                Token::Sign(")") => {
                    if expects_value {
                        values.push(String::new());
                    }
                    values.sort();
                    values.dedup();
                    return Ok(values);
                }
                other => return Err(format!("found '{}', expected: ',' or ')'", text_of(&other))),
            }
        }
    }
}

fn text_of<'a>(token: &Token<'a>) -> &'a str {
    match token {
        Token::Word(text) => text,
        Token::Sign(text) => text,
        Token::End => "",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selects_by_labels() {
        let labels = json!({"app": "web", "tier": "front", "n": "5", "empty": ""});
        for (selector, want) in [
            ("", true),
            ("app", true),
            ("app=web", true),
            ("app==web", true),
            (" app = web , tier in (front, back) ", true),
            ("app!=web", false),
            ("other!=web", true),
            ("!other", true),
            ("!app", false),
            ("other", false),
            ("app in (db)", false),
            ("app notin (db)", true),
            ("other notin (db)", true),
            ("n>4", true),
            ("n>5", false),
            ("n<6", true),
            ("app>1", false),
            ("empty=", true),
            ("empty in (,a)", true),
            ("app=web,tier!=front", false),
            ("in in (x)", false),
        ] {
            let parsed = LabelSelector::parse(selector).unwrap_or_else(|error| panic!("{selector}: {error}"));
            assert_eq!(parsed.matches(labels.as_object()), want, "{selector}");
        }
        assert!(!LabelSelector::parse("app").unwrap().matches(None));
    }

    #[test]
    fn refuses_what_is_no_selector() {
        for selector in [
            "=a", "a=b,", "a in", "a in (b", "a b", "a=(b)", "a>x", "!", "a=b=c", "-a", "a=b c", "a=$",
        ] {
            assert!(LabelSelector::parse(selector).is_err(), "{selector}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[a-c=!,() <>in/.é-]{0,24}") {
            if let Ok(selector) = LabelSelector::parse(&text) {
                proptest::prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
            }
        }
    }
}
