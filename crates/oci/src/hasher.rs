//! Incremental hashing whose state can be stored and taken up by another process.

use std::fmt;

use sha2::block_api::{compress256, compress512};

use crate::{Algorithm, Digest};

/// Why stored bytes are not the state of a hasher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The bytes are of another length than a state of this algorithm.
    #[error("a hash state has {want} bytes, not {got}")]
    Length {
        /// Bytes that a state of the algorithm has.
        want: usize,
        /// Bytes found.
        got: usize,
    },
    /// The first bytes name another algorithm or another format.
    #[error("the hash state does not begin as a state of this algorithm does")]
    Magic,
    /// Bytes behind the pending input are not zero, as they always are when a state is written.
    #[error("the hash state has garbage behind its pending input")]
    Padding,
}

/// Hashes content as it streams by.
///
/// The state is held in the open (chaining value, pending block, length) rather than inside a hashing library,
/// because it has to be written in the very form that docker-registry writes, so that an upload begun by one
/// registry can be finished by the other. The compression functions are the library's.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(Machine<u32, 64>),
    Sha512(Machine<u64, 128>),
}

/// Merkle–Damgård with words `W` and blocks of `B` bytes.
#[derive(Clone)]
struct Machine<W, const B: usize> {
    chain: [W; 8],
    /// Input that does not yet fill a block: the first `length % B` bytes; zeros follow.
    pending: [u8; B],
    /// Bytes seen so far. Wraps as the algorithm itself does, far beyond any content that exists.
    length: u64,
}

/// First bytes of a stored SHA-256 state, as Go's `crypto/sha256` writes it.
const MAGIC_256: &[u8; 4] = b"sha\x03";
/// First bytes of a stored SHA-512 state, as Go's `crypto/sha512` writes it.
const MAGIC_512: &[u8; 4] = b"sha\x07";

const START_256: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];
const START_512: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

impl<W, const B: usize> Machine<W, B> {
    const fn new(chain: [W; 8]) -> Self {
        Machine {
            chain,
            pending: [0; B],
            length: 0,
        }
    }

    /// Bytes waiting in `pending`.
    fn held(&self) -> usize {
        // A remainder below B fits whatever the width of usize.
        usize::try_from(self.length % B as u64).unwrap_or(0)
    }

    fn update(&mut self, mut input: &[u8], compress: fn(&mut [W; 8], &[[u8; B]])) {
        let held = self.held();
        self.length = self.length.wrapping_add(input.len() as u64);
        if held > 0 {
            let taken = input.len().min(B - held);
            self.pending[held..held + taken].copy_from_slice(&input[..taken]);
            input = &input[taken..];
            if held + taken < B {
                return;
            }
            compress(&mut self.chain, &[self.pending]);
            self.pending = [0; B];
        }
        let (blocks, rest) = input.as_chunks::<B>();
        if !blocks.is_empty() {
            compress(&mut self.chain, blocks);
        }
        self.pending[..rest.len()].copy_from_slice(rest);
    }

    /// Appends the mark bit, zeros and the length in bits (`width` bytes wide), and compresses what that fills.
    fn pad(&mut self, width: usize, compress: fn(&mut [W; 8], &[[u8; B]])) {
        let held = self.held();
        self.pending[held] = 0x80;
        if held + 1 + width > B {
            compress(&mut self.chain, &[self.pending]);
            self.pending = [0; B];
        }
        let bits = u128::from(self.length) * 8;
        self.pending[B - width..].copy_from_slice(&bits.to_be_bytes()[16 - width..]);
        compress(&mut self.chain, &[self.pending]);
    }

    fn encode(&self, magic: &[u8; 4], words: impl IntoIterator<Item = u8>) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + 8 * size_of::<W>() + B + 8);
        out.extend_from_slice(magic);
        out.extend(words);
        out.extend_from_slice(&self.pending);
        out.extend_from_slice(&self.length.to_be_bytes());
        out
    }

    fn decode(magic: &[u8; 4], state: &[u8], word: fn(&[u8]) -> W) -> Result<Self, StateError> {
        let width = size_of::<W>();
        let want = 4 + 8 * width + B + 8;
        if state.len() != want {
            return Err(StateError::Length {
                want,
                got: state.len(),
            });
        }
        let (head, rest) = state.split_at(4);
        if head != magic {
            return Err(StateError::Magic);
        }
        let (chain, rest) = rest.split_at(8 * width);
        let (block, length) = rest.split_at(B);
        let mut pending = [0; B];
        pending.copy_from_slice(block);
        let length = length.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        let machine = Machine {
            chain: std::array::from_fn(|i| word(&chain[i * width..(i + 1) * width])),
            pending,
            length,
        };
        if machine.pending[machine.held()..].iter().any(|byte| *byte != 0) {
            return Err(StateError::Padding);
        }
        Ok(machine)
    }
}

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Hasher(match algorithm {
            Algorithm::Sha256 => State::Sha256(Machine::new(START_256)),
            Algorithm::Sha512 => State::Sha512(Machine::new(START_512)),
        })
    }

    /// The algorithm this hasher computes.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Bytes hashed so far.
    #[must_use]
    pub const fn length(&self) -> u64 {
        match &self.0 {
            State::Sha256(machine) => machine.length,
            State::Sha512(machine) => machine.length,
        }
    }

    /// Hashes `bytes` after what was hashed before.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(machine) => machine.update(bytes, compress256),
            State::Sha512(machine) => machine.update(bytes, compress512),
        }
    }

    /// The digest of everything hashed.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(mut machine) => {
                machine.pad(8, compress256);
                let mut hash = [0; 32];
                for (out, word) in hash.chunks_exact_mut(4).zip(machine.chain) {
                    out.copy_from_slice(&word.to_be_bytes());
                }
                Digest::from_sha256(hash)
            }
            State::Sha512(mut machine) => {
                machine.pad(16, compress512);
                let mut hash = [0; 64];
                for (out, word) in hash.chunks_exact_mut(8).zip(machine.chain) {
                    out.copy_from_slice(&word.to_be_bytes());
                }
                Digest::from_sha512(hash)
            }
        }
    }

    /// The state in the form that Go's `crypto/sha256` and `crypto/sha512` marshal theirs: magic, eight big-endian
    /// words, the pending block filled up with zeros, the length in bytes as a big-endian `u64`.
    ///
    /// docker-registry keeps exactly this under `_uploads/<id>/hashstates/<algorithm>/<offset>`.
    #[must_use]
    pub fn state(&self) -> Vec<u8> {
        match &self.0 {
            State::Sha256(machine) => {
                machine.encode(MAGIC_256, machine.chain.iter().flat_map(|w| w.to_be_bytes()))
            }
            State::Sha512(machine) => {
                machine.encode(MAGIC_512, machine.chain.iter().flat_map(|w| w.to_be_bytes()))
            }
        }
    }

    /// Takes up a [`state`](Self::state) that this or another registry stored.
    ///
    /// # Errors
    /// [`StateError`] when the bytes are not such a state, for instance because a crash cut the file off. The content
    /// must then be hashed again from its beginning.
    pub fn resume(algorithm: Algorithm, state: &[u8]) -> Result<Self, StateError> {
        Ok(Hasher(match algorithm {
            Algorithm::Sha256 => State::Sha256(Machine::decode(MAGIC_256, state, |bytes| {
                bytes.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte))
            })?),
            Algorithm::Sha512 => State::Sha512(Machine::decode(MAGIC_512, state, |bytes| {
                bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
            })?),
        }))
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({}, {} bytes)", self.algorithm(), self.length())
    }
}

#[cfg(test)]
mod tests;
