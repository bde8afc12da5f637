//! Fingerprints of data files, so that a run directory records what was read.

use sha3::{Digest as _, Sha3_256};
use std::fmt;

/// The size and the SHA3-256 of a file (FIPS 202); `sha3sum -a 256 FILE` prints the same digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Length of the file in bytes.
    pub bytes: usize,
    /// Its SHA3-256.
    pub sha3_256: [u8; 32],
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest { bytes: bytes.len(), sha3_256: Sha3_256::digest(bytes).into() }
    }
}

/// The 64 hexadecimal digits of the hash, lower case.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sha3_256.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_sha3_256() {
        // The example values of FIPS 202 for the empty message and "abc" (NIST CSRC, SHA3-256).
        assert_eq!(
            Digest::of(b"").to_string(),
            "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"
        );
        assert_eq!(
            Digest::of(b"abc").to_string(),
            "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"
        );
    }
}
