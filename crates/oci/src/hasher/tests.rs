use proptest::prelude::*;

use super::*;

/// Content of which the vectors below were made.
fn body(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + 1).to_le_bytes()[0]).collect()
}

struct Vector {
    algorithm: Algorithm,
    length: usize,
    /// The state without the zeros between the pending input and the length, and without those of the length.
    state: &'static str,
    digest: &'static str,
}

/// The SHA-256 states were written by Debian's docker-registry 2.8 while it took an upload of that length; the SHA-512 one,
/// which that version cannot write, was computed by an implementation of the algorithm from its definition. The digests are
/// those of Python's hashlib.
const VECTORS: [Vector; 5] = [
    Vector {
        algorithm: Algorithm::Sha256,
        length: 0,
        state: "736861036a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19",
        digest: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    },
    Vector {
        algorithm: Algorithm::Sha256,
        length: 64,
        state: "73686103176c96153a1e47e654655949a2a34fa00a62d2435146ce183c51d9d2850e1a5f",
        digest: "66bd4633ed6f71c4ecfa4763bf7ba1c8ec7612de9aa6c0578a7b675207c71e0b",
    },
    Vector {
        algorithm: Algorithm::Sha256,
        length: 100,
        state: "73686103176c96153a1e47e654655949a2a34fa00a62d2435146ce183c51d9d2850e1a5f\
                c1c8cfd6dde4ebf2f900070e151c232a31383f464d545b626970777e858c939aa1a8afb6",
        digest: "4303a0db0805657f94896cbe70712284dd3d74b1324a92b677b792b63b5d7538",
    },
    Vector {
        algorithm: Algorithm::Sha256,
        length: 200,
        state: "736861037f254778353425e0e0c0fa1768d0828ee6b4afe0b54c576afd70d3bffc56d94841484f565d646b72",
        digest: "397276ea1f65a10cbd90e9d622ab533cf9fc4e14056fc9915feb8f4a52d47dc7",
    },
    Vector {
        algorithm: Algorithm::Sha512,
        length: 200,
        state: "73686107398f19e0410b0c07f88a179c5ec08b57270f31ecb3474db10af1072521a04aaabd3c7dd88fb55edd768eba10\
                840ef270715d211f22a10c93c81f2cfcac71c22381888f969da4abb2b9c0c7ced5dce3eaf1f8ff060d141b222930373e\
                454c535a61686f767d848b9299a0a7aeb5bcc3cad1d8dfe6edf4fb020910171e252c333a41484f565d646b72",
        digest: "f406d7af1ebe5b4517bf7d1c1ec07874b5df9ede1495c9450daca8ce37570bc2\
                 76ba10cca3d4688108e75cee557ec24e9cc15545243d64378339351e9d12cb5e",
    },
];

impl Vector {
    fn state(&self) -> Vec<u8> {
        let mut state = hex::decode(self.state).unwrap();
        let full = match self.algorithm {
            Algorithm::Sha256 => 108,
            Algorithm::Sha512 => 204,
        };
        state.resize(full - 8, 0);
        state.extend((self.length as u64).to_be_bytes());
        state
    }
}

#[test]
fn writes_the_states_of_docker_registry() {
    for vector in &VECTORS {
        let mut hasher = vector.algorithm.hasher();
        hasher.update(&body(vector.length));
        assert_eq!(
            hex::encode(hasher.state()),
            hex::encode(vector.state()),
            "{} bytes",
            vector.length
        );
        assert_eq!(hasher.finish().hex(), vector.digest);
    }
}

#[test]
fn resumes_the_states_of_docker_registry() {
    let whole = body(1000);
    for vector in &VECTORS {
        let mut hasher = Hasher::resume(vector.algorithm, &vector.state()).unwrap();
        assert_eq!(hasher.length(), vector.length as u64);
        assert_eq!(hasher.clone().finish().hex(), vector.digest);
        hasher.update(&whole[vector.length..]);
        assert_eq!(hasher.finish(), vector.algorithm.digest(&whole));
    }
}

#[test]
fn refuses_what_is_not_a_state() {
    let state = |algorithm: Algorithm| algorithm.hasher().state();
    let mut dirty = state(Algorithm::Sha256);
    dirty[60] = 1;
    for (algorithm, bytes, want) in [
        (
            Algorithm::Sha256,
            vec![],
            StateError::Length { want: 108, got: 0 },
        ),
        (Algorithm::Sha256, vec![0; 108], StateError::Magic),
        (
            Algorithm::Sha512,
            state(Algorithm::Sha256),
            StateError::Length { want: 204, got: 108 },
        ),
        (Algorithm::Sha256, dirty, StateError::Padding),
    ] {
        assert_eq!(
            Hasher::resume(algorithm, &bytes).err(),
            Some(want),
            "{algorithm} {} bytes",
            bytes.len()
        );
    }
}

proptest! {
    #[test]
    fn agrees_with_the_library(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        use sha2::Digest as _;
        prop_assert_eq!(Digest::sha256(&bytes).hex(), hex::encode(sha2::Sha256::digest(&bytes)));
        prop_assert_eq!(Algorithm::Sha512.digest(&bytes).hex(), hex::encode(sha2::Sha512::digest(&bytes)));
    }

    #[test]
    fn pieces_and_interruptions_do_not_matter(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..150), 0..8)) {
        for algorithm in Algorithm::ALL {
            let mut hasher = algorithm.hasher();
            for piece in &pieces {
                hasher.update(piece);
                hasher = Hasher::resume(algorithm, &hasher.state()).unwrap();
            }
            let whole = pieces.concat();
            prop_assert_eq!(hasher.length(), whole.len() as u64);
            prop_assert_eq!(hasher.finish(), algorithm.digest(&whole));
        }
    }

    #[test]
    fn resumes_anything_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 204), length in any::<u64>(), more in prop::collection::vec(any::<u8>(), 0..300)) {
        for (algorithm, size, magic) in [(Algorithm::Sha256, 108, MAGIC_256), (Algorithm::Sha512, 204, MAGIC_512)] {
            bytes[..4].copy_from_slice(magic);
            bytes[size - 8..size].copy_from_slice(&length.to_be_bytes());
            if let Ok(mut hasher) = Hasher::resume(algorithm, &bytes[..size]) {
                prop_assert_eq!(&hasher.state(), &bytes[..size]);
                hasher.update(&more);
                let _ = hasher.finish();
            }
        }
    }
}
