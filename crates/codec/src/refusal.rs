//! Why a text was refused, and where.

/// The nature of what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The text is not of this language at all.
    Language,
    /// A setting or its value is not one.
    Value,
}

/// A text was refused whole. Keys and reasons are bytes, for they may repeat what was no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong in nature.
    pub kind: Kind,
    /// Counted from 1.
    pub line: Option<usize>,
    /// The setting as it was written.
    pub key: Option<Vec<u8>>,
    /// What is wrong with it.
    pub reason: Vec<u8>,
}

/// What is wrong with a value; who reads the lines knows where.
pub type Reason = Vec<u8>;

impl Refusal {
    /// A value of a line is wrong.
    #[must_use]
    pub fn value(line: usize, key: &[u8], reason: Reason) -> Self {
        Self {
            kind: Kind::Value,
            line: Some(line),
            key: Some(key.to_vec()),
            reason,
        }
    }

    /// A line is none.
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

/// A reason that shows the value between the quotes that wg(8) uses.
pub(crate) fn shown(sentence: &str, value: &[u8]) -> Reason {
    [sentence.as_bytes(), b": `", value, b"'"].concat()
}

/// A reason that shows the value as Python would.
pub(crate) fn quoted(sentence: &str, value: &[u8]) -> Reason {
    let text = String::from_utf8_lossy(value);
    let escaped = text.escape_debug().to_string().replace("\\\"", "\"");
    format!("{sentence}: '{escaped}'").into_bytes()
}
