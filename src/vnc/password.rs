//! VNC's own password (RFC 6143 §7.2.2): a challenge is answered by DES with the password as the key. Weak by its age, so it
//! is asked for inside TLS, or of who is on this board.

use des::Des;
use des::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use subtle::ConstantTimeEq as _;

/// Bytes of a challenge and of its answer.
pub(super) const CHALLENGE: usize = 16;
const BLOCK: usize = 8;

/// Is this the answer of somebody who knows the password?
#[must_use]
pub(super) fn answers(password: &str, challenge: &[u8; CHALLENGE], said: &[u8; CHALLENGE]) -> bool {
    bool::from(answer(password, challenge).ct_eq(said))
}

fn answer(password: &str, challenge: &[u8; CHALLENGE]) -> [u8; CHALLENGE] {
    let mut key = [0; BLOCK];
    for (place, byte) in key.iter_mut().zip(password.bytes()) {
        // VNC counts the bits of each byte from the other end.
        *place = byte.reverse_bits();
    }
    let cipher = Des::new(&key.into());
    let mut out = *challenge;
    for block in out.chunks_exact_mut(BLOCK) {
        if let Ok(block) = block.try_into() {
            cipher.encrypt_block(block);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_that_of_other_programs() {
        // By OpenSSL: des-ecb with the bits of each byte of "password" turned round.
        let challenge: [u8; CHALLENGE] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let said = answer("password", &challenge);
        let text: String = said.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, "b866924125c8eebb9debc1db61c538e2");
        assert!(answers("password", &challenge, &said));
        assert!(!answers("passwore", &challenge, &said));
    }
}
