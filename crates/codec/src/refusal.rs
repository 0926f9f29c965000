//! Why a text was refused, and where.

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The text does not have this format.
    Language,
    /// A setting or a value is invalid.
    Value,
}

/// The error of a text. Keys and reasons are bytes because they may quote bytes that are not text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of error.
    pub kind: Kind,
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// The setting as it was written.
    pub key: Option<Vec<u8>>,
    /// What is wrong with it.
    pub reason: Vec<u8>,
}

/// What is wrong with a value. The caller adds the line.
pub type Reason = Vec<u8>;

impl Refusal {
    /// An invalid value.
    #[must_use]
    pub fn value(line: usize, key: &[u8], reason: Reason) -> Self {
        Self {
            kind: Kind::Value,
            line: Some(line),
            key: Some(key.to_vec()),
            reason,
        }
    }

    /// A line that is not of this format.
    #[must_use]
    pub fn language(line: usize, reason: &str) -> Self {
        Self {
            kind: Kind::Language,
            line: Some(line),
            key: None,
            reason: reason.into(),
        }
    }
}

/// A reason with the value in the quotes of wg(8).
pub(crate) fn shown(sentence: &str, value: &[u8]) -> Reason {
    [sentence.as_bytes(), b": `", value, b"'"].concat()
}

/// A reason with the value in Python's quotes.
pub(crate) fn quoted(sentence: &str, value: &[u8]) -> Reason {
    let text = String::from_utf8_lossy(value);
    let escaped = text.escape_debug().to_string().replace("\\\"", "\"");
    format!("{sentence}: '{escaped}'").into_bytes()
}
