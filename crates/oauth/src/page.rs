//! Pages for people: small, plain, and without anything from elsewhere.
//!
//! Text goes in through [`Html::text`], which escapes it; only fixed markup goes in as it is. No page has a script; the one
//! style sheet is allowed by its hash.
mod login;
mod token;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use berth_apimachinery::server::Body;
use http::header::{self, HeaderName};
use http::{HeaderValue, Response, StatusCode};

pub(crate) use self::login::{Choice, Prompt, approve, choose, logged_out, login, logout};
pub(crate) use self::token::{Shown, arrived, ask_to_show, show};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8c959f;--accent:#0b5cad;--bad:#a40e26;--back:#f6f8fa}\
@media(prefers-color-scheme:dark){:root{--accent:#79b8ff;--bad:#ff8a8a;--back:#1c2128}}\
*{box-sizing:border-box}\
body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:1.5rem;display:flex;justify-content:center}\
main{width:100%;max-width:26rem;margin-top:8vh}\
main.wide{max-width:48rem}\
h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem}\
h2{font-size:1.1rem;margin:1.5rem 0 .5rem}\
label{display:block;font-weight:600;margin:1rem 0 .25rem}\
input{font:inherit;width:100%;padding:.5rem .6rem;border:1px solid var(--line);border-radius:.375rem}\
button,a.button{font:inherit;font-weight:600;display:block;width:100%;margin-top:1.25rem;padding:.55rem 1rem;text-align:center;\
text-decoration:none;border:1px solid var(--accent);border-radius:.375rem;background:var(--accent);color:Canvas;cursor:pointer}\
button.plain{background:Canvas;color:var(--accent)}\
a{color:var(--accent)}\
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}\
p.problem{border-left:.25rem solid var(--bad);padding:.4rem .75rem;background:var(--back)}\
pre{padding:.75rem;border:1px solid var(--line);border-radius:.375rem;background:var(--back);white-space:pre-wrap;overflow-wrap:anywhere}\
footer{margin-top:2rem;font-size:.875rem}";

/// A page on its way.
#[derive(Debug)]
pub(crate) struct Page {
    status: StatusCode,
    title: &'static str,
    wide: bool,
    content: Html,
    /// Where forms may lead besides this server, through redirects: browsers check the whole chain. None: anywhere.
    leads_to: Option<Vec<String>>,
}

/// Markup.
#[derive(Debug, Default)]
pub(crate) struct Html(String);

impl Html {
    /// Markup that is known to be fine.
    pub(crate) fn raw(mut self, markup: &'static str) -> Html {
        self.0.push_str(markup);
        self
    }

    /// Text, whatever it contains; also fit for an attribute in double quotes.
    pub(crate) fn text(mut self, text: &str) -> Html {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                character => self.0.push(character),
            }
        }
        self
    }

    /// A field that nobody sees.
    pub(crate) fn hidden(self, name: &str, value: &str) -> Html {
        self.raw("<input type=\"hidden\" name=\"")
            .text(name)
            .raw("\" value=\"")
            .text(value)
            .raw("\">")
    }

    /// What went wrong, read out at once.
    pub(crate) fn problem(self, problem: &str) -> Html {
        self.raw("<p class=\"problem\" role=\"alert\">")
            .text(problem)
            .raw("</p>")
    }
}

impl Page {
    pub(crate) fn new(status: StatusCode, title: &'static str, content: Html) -> Page {
        Page {
            status,
            title,
            wide: false,
            content,
            leads_to: Some(Vec::new()),
        }
    }

    /// The same with more room.
    pub(crate) fn wide(mut self) -> Page {
        self.wide = true;
        self
    }

    /// The same, with forms that may lead to other origins; none: anywhere.
    pub(crate) fn leading_to(mut self, origins: Option<Vec<String>>) -> Page {
        self.leads_to = origins;
        self
    }

    /// What went wrong, for a person.
    pub(crate) fn problem(status: StatusCode, problem: &str) -> Page {
        let content = Html::default().raw("<h1>That did not work</h1>").problem(problem);
        Page::new(status, "That did not work", content)
    }

    /// The answer.
    pub(crate) fn respond(self) -> Response<Body> {
        let class = if self.wide { " class=\"wide\"" } else { "" };
        let document = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{} - Berth</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main{class}>\n{}\n</main>\n</body>\n</html>\n",
            self.title, self.content.0
        );
        let form_action = self.leads_to.map_or_else(String::new, |origins| {
            let origins: String = origins.iter().map(|origin| format!(" {origin}")).collect();
            format!("; form-action 'self'{origins}")
        });
        let style = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; frame-ancestors 'none'{form_action}"
        );
        let mut response = Response::new(Body::from(document));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
        if let Ok(policy) = HeaderValue::try_from(policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        guard(headers);
        response
    }
}

/// Headers of everything that a browser shows or follows here: not kept, not framed, not guessed at, not told to others.
pub(crate) fn guard(headers: &mut http::HeaderMap) {
    const HEADERS: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text() {
        let html = Html::default().text("<script>\"&'").hidden("a\"b", "<x>");
        let want =
            "&lt;script&gt;&quot;&amp;&#39;<input type=\"hidden\" name=\"a&quot;b\" value=\"&lt;x&gt;\">";
        assert_eq!(html.0, want);
    }

    #[test]
    fn pages_allow_nothing_that_they_do_not_need() {
        let origins = Some(vec!["http://127.0.0.1:1".to_owned()]);
        let page = Page::new(StatusCode::OK, "x", Html::default())
            .leading_to(origins)
            .respond();
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(
            policy.ends_with("form-action 'self' http://127.0.0.1:1"),
            "{policy}"
        );
        assert_eq!(page.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(page.headers()[header::X_FRAME_OPTIONS], "DENY");
        let anywhere = Page::new(StatusCode::OK, "x", Html::default())
            .leading_to(None)
            .respond();
        let policy = anywhere.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(!policy.contains("form-action"), "{policy}");
    }
}
