//! RSA moduli of the Infineon library whose primes can be factored (ROCA, CVE-2017-15361).
//!
//! Its primes are `k·M + 65537^a mod M`, where `M` is a product of the first primes; so modulo each of
//! them such a modulus is a power of 65537. Of other moduli about one in 2^27 or fewer is.

/// The primes that tell; with more of them, fewer other moduli are mistaken for these.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether a modulus, big-endian, has the library's fingerprint.
pub(super) fn has_fingerprint(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| {
        let rest = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        // The powers repeat after at most `prime - 1` of them.
        (0..*prime).any(|_| {
            let hit = power == rest;
            power = power * (65_537 % prime) % prime;
            hit
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_moduli_that_are_powers_of_65537_everywhere_have_the_fingerprint() {
        assert!(has_fingerprint(&[1]));
        assert!(has_fingerprint(&[1, 0, 1]), "65537 itself");
        assert!(has_fingerprint(&[1, 0, 2, 0, 1]), "65537 squared");
        assert!(!has_fingerprint(&[1, 0, 2]));
        assert!(!has_fingerprint(&[7]));
        assert!(!has_fingerprint(&[]));
    }
}
