//! Words that must not show.
use std::fmt;

/// A password or a token of the command line. `Debug` does not show it, so that no log and no panic can.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The word itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(word: String) -> Self {
        Self(word)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show() {
        let secret = Secret::from("canary".to_owned());
        assert_eq!(format!("{secret:?}"), "<secret>");
        assert_eq!(secret.reveal(), "canary");
    }
}
