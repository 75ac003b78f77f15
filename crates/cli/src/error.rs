//! What a person reads when a command fails.

/// The result of a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command failed. `Display` is the line for standard error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line asks for something that cannot be.
    #[error("error: {0}")]
    Usage(String),
    /// It could not be done; the text says what and what to do.
    #[error("error: {0}")]
    Failed(String),
    /// The API refused.
    #[error("Error from server ({reason}): {message}")]
    Server {
        /// HTTP status code.
        code: u16,
        /// Reason of the Status, or the name of the HTTP status.
        reason: String,
        /// Message of the Status.
        message: String,
    },
    /// The server does not accept the session's credentials.
    #[error("error: You must be logged in to the server (Unauthorized): run 'berth login'")]
    Unauthorized,
    /// User name or password are wrong.
    #[error("Login failed (401 Unauthorized). Verify you have provided the correct credentials.")]
    LoginFailed,
}

impl Error {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) | Self::Server { .. } | Self::Unauthorized | Self::LoginFailed => 1,
        }
    }

    /// Whether the server answered with this HTTP status.
    pub(crate) fn is(&self, status: u16) -> bool {
        match self {
            Self::Server { code, .. } => *code == status,
            Self::Unauthorized | Self::LoginFailed => status == 401,
            Self::Usage(_) | Self::Failed(_) => false,
        }
    }
}

/// A failure with its text.
pub(crate) fn failed(text: impl Into<String>) -> Error {
    Error::Failed(text.into())
}
