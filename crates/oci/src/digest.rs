//! Content digests: `sha256:<hex>` and `sha512:<hex>`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Hasher;

/// A hash algorithm that content may be addressed by.
///
/// Spec: OCI image specification, "Registered algorithms".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, the canonical algorithm: every implementation must have it.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, the canonical one first.
    pub const ALL: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

    /// The name before the colon, which is also the directory name in storage.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// Length of the hash, in bytes.
    #[must_use]
    pub const fn output_len(self) -> usize {
        match self {
            Algorithm::Sha256 => 32,
            Algorithm::Sha512 => 64,
        }
    }

    /// A fresh hasher of this algorithm.
    #[must_use]
    pub fn hasher(self) -> Hasher {
        Hasher::new(self)
    }

    /// The digest of `bytes`.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> Digest {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Algorithm::ALL
            .into_iter()
            .find(|a| a.name() == text)
            .ok_or(DigestError::Algorithm)
    }
}

/// Why a text is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no colon between algorithm and hash.
    #[error("a digest has the form <algorithm>:<hex>")]
    Form,
    /// The algorithm is malformed or not one of [`Algorithm::ALL`].
    #[error("the digest algorithm is not supported: use sha256 or sha512")]
    Algorithm,
    /// The hash has the wrong number of digits for its algorithm.
    #[error("the hash has {got} digits instead of {want}")]
    Length {
        /// Digits that the algorithm needs.
        want: usize,
        /// Digits found.
        got: usize,
    },
    /// The hash has a character outside `0-9a-f`; upper case is not canonical and would name the content twice.
    #[error("the hash has a character other than 0-9 and a-f")]
    Hex,
}

/// The name of a piece of content: a hash and its algorithm.
///
/// Ordered as its text is. Copying it copies at most 65 bytes and allocates nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Value);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Value {
    Sha256([u8; 32]),
    Sha512([u8; 64]),
}

impl Digest {
    /// Longest text of a digest, in bytes.
    pub const MAX_TEXT: usize = "sha512:".len() + 128;

    /// The SHA-256 digest of `bytes`.
    #[must_use]
    pub fn sha256(bytes: &[u8]) -> Self {
        Algorithm::Sha256.digest(bytes)
    }

    pub(crate) const fn from_sha256(hash: [u8; 32]) -> Self {
        Digest(Value::Sha256(hash))
    }

    pub(crate) const fn from_sha512(hash: [u8; 64]) -> Self {
        Digest(Value::Sha512(hash))
    }

    /// The algorithm of the hash.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Value::Sha256(_) => Algorithm::Sha256,
            Value::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The hash itself.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Value::Sha256(hash) => hash,
            Value::Sha512(hash) => hash,
        }
    }

    /// The hash in lower-case hexadecimal, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.as_bytes())
    }

    /// Whether `bytes` hash to this digest.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        self.algorithm().digest(bytes) == *self
    }

    /// Writes the text into `buffer` and returns it, for callers on a hot path that need no allocation.
    pub fn encode<'a>(&self, buffer: &'a mut [u8; Self::MAX_TEXT]) -> &'a str {
        let prefix = match self.0 {
            Value::Sha256(_) => b"sha256:",
            Value::Sha512(_) => b"sha512:",
        };
        let hash = self.as_bytes();
        buffer[..7].copy_from_slice(prefix);
        let end = 7 + 2 * hash.len();
        for (pair, byte) in buffer[7..end].chunks_exact_mut(2).zip(hash) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        std::str::from_utf8(&buffer[..end]).expect("hexadecimal digits are ASCII")
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.encode(&mut [0; Self::MAX_TEXT]))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hash) = text.split_once(':').ok_or(DigestError::Form)?;
        let algorithm: Algorithm = algorithm.parse()?;
        let want = 2 * algorithm.output_len();
        if hash.len() != want {
            return Err(DigestError::Length {
                want,
                got: hash.len(),
            });
        }
        // The hex crate would also take upper case, and with it a second name for the same content.
        if !hash
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            return Err(DigestError::Hex);
        }
        let value = match algorithm {
            Algorithm::Sha256 => Value::Sha256(decode(hash)?),
            Algorithm::Sha512 => Value::Sha512(decode(hash)?),
        };
        Ok(Digest(value))
    }
}

fn decode<const N: usize>(hash: &str) -> Result<[u8; N], DigestError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(hash, &mut bytes).map_err(|_| DigestError::Hex)?;
    Ok(bytes)
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.encode(&mut [0; Self::MAX_TEXT]))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::media_type::parse_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn knows_the_digests_of_nothing_and_of_abc() {
        assert_eq!(Digest::sha256(b"").to_string(), EMPTY);
        assert!(EMPTY.parse::<Digest>().unwrap().matches(b""));
        assert_eq!(
            Algorithm::Sha512.digest(b"abc").to_string(),
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }

    #[test]
    fn refuses_what_is_not_a_canonical_digest() {
        for (text, want) in [
            ("", DigestError::Form),
            ("sha256", DigestError::Form),
            ("sha256:", DigestError::Length { want: 64, got: 0 }),
            (":e3b0", DigestError::Algorithm),
            ("md5:d41d8cd98f00b204e9800998ecf8427e", DigestError::Algorithm),
            ("SHA256:e3b0", DigestError::Algorithm),
            ("sha256:e3b0", DigestError::Length { want: 64, got: 4 }),
            (
                "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
                DigestError::Hex,
            ),
            (
                "sha256:g3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                DigestError::Hex,
            ),
            (
                "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                DigestError::Length { want: 128, got: 64 },
            ),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(want), "{text}");
        }
    }

    fn any_digest() -> impl Strategy<Value = Digest> {
        (any::<bool>(), any::<Vec<u8>>()).prop_map(|(long, seed)| {
            if long {
                Algorithm::Sha512.digest(&seed)
            } else {
                Digest::sha256(&seed)
            }
        })
    }

    proptest! {
        #[test]
        fn round_trips(digest in any_digest()) {
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
            let json = serde_json::to_string(&digest).unwrap();
            prop_assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        }

        #[test]
        fn orders_as_its_text(a in any_digest(), b in any_digest()) {
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn parses_anything_without_panic(text in ".{0,200}") {
            if let Ok(digest) = text.parse::<Digest>() {
                prop_assert_eq!(digest.to_string(), text);
            }
        }
    }
}
