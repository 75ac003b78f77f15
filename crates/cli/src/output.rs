//! Where commands write, and how they ask.
use std::{
    fmt::{self, Display},
    io::{self, BufRead as _, IsTerminal as _, Write},
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::error::{Result, failed};

/// Longest answer to a prompt, in bytes.
const MAX_ANSWER: u64 = 64 << 10;

/// Standard output and standard error of a command.
pub struct Output<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Output")
    }
}

impl<'a> Output<'a> {
    /// Writes results to `out`, warnings and questions to `err`.
    pub fn new(out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { out, err }
    }

    /// A line of the result.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn line(&mut self, text: impl Display) -> Result<()> {
        writeln!(self.out, "{text}").map_err(gone)
    }

    /// Something to know that is not the result.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn note(&mut self, text: impl Display) -> Result<()> {
        writeln!(self.err, "{text}").map_err(gone)
    }

    /// Something that may be a mistake, but is done nevertheless.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn warning(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        self.note(format_args!("Warning: {text}"))
    }

    /// Asks for `what` and reads a line from standard input; without echo if it is `secret` and a terminal answers.
    ///
    /// # Errors
    /// When there is no answer; `instead` says how to give it otherwise.
    pub fn ask(&mut self, what: &str, secret: bool, instead: &str) -> Result<String> {
        let stdin = io::stdin();
        // Before the prompt: whoever types as soon as it shows must neither be seen nor lose what was typed.
        let silence = (secret && stdin.is_terminal()).then(Silence::begin);
        write!(self.err, "{what}: ").map_err(gone)?;
        self.err.flush().map_err(gone)?;
        let mut answer = String::new();
        let read = io::Read::take(stdin.lock(), MAX_ANSWER).read_line(&mut answer);
        if silence.is_some() || !stdin.is_terminal() {
            // What was typed, its end included, did not show.
            writeln!(self.err).map_err(gone)?;
        }
        drop(silence);
        read.map_err(|error| failed(format!("no answer to \"{what}\": {error}")))?;
        let answer = answer.trim_end_matches(['\r', '\n']).to_owned();
        if answer.is_empty() {
            return Err(failed(format!("no answer to \"{what}\"; {instead}")));
        }
        Ok(answer)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the shape that map_err wants")]
fn gone(error: io::Error) -> crate::Error {
    failed(format!("writing the result: {error}"))
}

/// Keeps a terminal from showing what is typed, until it is dropped.
struct Silence(Option<Termios>);

impl Silence {
    fn begin() -> Self {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).ok();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(&stdin, OptionalActions::Flush, &quiet);
        }
        Self(before)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
