//! The two cipher suites that we speak, their keys and what is done with them. IPMI 2.0 §13.28 to §13.32, §22.15.2.
//! Decides nothing about sessions.

use std::fmt;

use aes::Aes128;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use cbc::{Decryptor, Encryptor};
use ring::hmac;
use subtle::ConstantTimeEq;

/// Size of an AES block, of its key and of what starts every encrypted payload.
pub const BLOCK: usize = 16;

/// A cipher suite (§22.15.2 table 22-20). Those without authentication, integrity or encryption do not exist here, nor
/// those on MD5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// Number 17: RAKP-HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128.
    Sha256,
    /// Number 3: RAKP-HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128. What every BMC of IPMI 2.0 must have.
    Sha1,
}

impl Suite {
    /// In the order in which we ask for them.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha1];

    /// Its number in the standard.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Sha256 => 17,
            Self::Sha1 => 3,
        }
    }

    /// Numbers of its algorithms: authentication, integrity, confidentiality. §13.28, §13.28.4, §13.28.5.
    #[must_use]
    pub fn algorithms(self) -> [u8; 3] {
        match self {
            Self::Sha256 => [3, 4, 1],
            Self::Sha1 => [1, 1, 1],
        }
    }

    /// The suite of these algorithms, if it is one of ours.
    #[must_use]
    pub fn of(algorithms: [u8; 3]) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|suite| suite.algorithms() == algorithms)
    }

    /// Bytes of a key exchange code, as in RAKP 2 and 3.
    #[must_use]
    pub fn code_length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha1 => 20,
        }
    }

    /// Bytes of the code under a packet, and of the integrity check value of RAKP 4.
    #[must_use]
    pub fn tag_length(self) -> usize {
        match self {
            Self::Sha256 => 16,
            Self::Sha1 => 12,
        }
    }

    /// The HMAC over all pieces in a row.
    #[must_use]
    pub fn hmac(self, key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        };
        let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
        for piece in pieces {
            context.update(piece);
        }
        context.sign().as_ref().to_vec()
    }
}

/// Are these the same? Takes as long for a wrong first byte as for a wrong last one.
#[must_use]
pub fn same(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// What protects the packets of a session: K1 signs, K2 encrypts. §13.32.
#[derive(Clone)]
pub struct Keys {
    suite: Suite,
    signing: Vec<u8>,
    sealing: [u8; BLOCK],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// Derived from the session integrity key. The constants are 20 bytes with either hash, as every implementation has
    /// them.
    #[must_use]
    pub fn derive(suite: Suite, sik: &[u8]) -> Self {
        let second = suite.hmac(sik, &[&[2; 20]]);
        let mut sealing = [0; BLOCK];
        for (to, from) in sealing.iter_mut().zip(second) {
            *to = from;
        }
        Self {
            suite,
            signing: suite.hmac(sik, &[&[1; 20]]),
            sealing,
        }
    }

    /// Bytes of the code under a packet.
    #[must_use]
    pub fn tag_length(&self) -> usize {
        self.suite.tag_length()
    }

    /// The code that goes under a packet. §13.28.4.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let mut code = self.suite.hmac(&self.signing, &[bytes]);
        code.truncate(self.suite.tag_length());
        code
    }

    /// Is this the code of these bytes?
    #[must_use]
    pub fn verify(&self, bytes: &[u8], code: &[u8]) -> bool {
        same(&self.sign(bytes), code)
    }

    /// Initialisation vector and encrypted payload. `iv` must never come twice. §13.29.
    #[must_use]
    pub fn encrypt(&self, payload: &[u8], iv: [u8; BLOCK]) -> Vec<u8> {
        let pad = (BLOCK - 1) - payload.len() % BLOCK;
        let mut text = payload.to_vec();
        text.extend((1u8..).take(pad));
        text.push(u8::try_from(pad).unwrap_or(0));
        let mut mode = Encryptor::<Aes128>::new(&self.sealing.into(), &iv.into());
        let mut out = iv.to_vec();
        for block in text.as_chunks::<BLOCK>().0 {
            let mut block = (*block).into();
            mode.encrypt_block(&mut block);
            out.extend_from_slice(&block);
        }
        out
    }

    /// The payload. `None` for what is no whole number of blocks, or has another padding than 1, 2, 3…
    #[must_use]
    pub fn decrypt(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (iv, text) = sealed.split_first_chunk::<BLOCK>()?;
        let (blocks, []) = text.as_chunks::<BLOCK>() else {
            return None;
        };
        let mut mode = Decryptor::<Aes128>::new(&self.sealing.into(), &(*iv).into());
        let mut out = Vec::with_capacity(text.len());
        for block in blocks {
            let mut block = (*block).into();
            mode.decrypt_block(&mut block);
            out.extend_from_slice(&block);
        }
        let pad = usize::from(out.pop()?);
        if pad >= BLOCK {
            return None;
        }
        let padding = out.split_off(out.len().checked_sub(pad)?);
        padding.iter().copied().eq((1u8..).take(pad)).then_some(out)
    }
}
