//! Passwords, and the codes that prove a phone, under Argon2id (decision D3), 19 MiB, two passes.

use std::{error::Error, num::NonZero, sync::Arc, thread, time::Duration};

use argon2::{
    Argon2, Params, PasswordHasher, PasswordVerifier,
    password_hash::{self, phc},
};
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task, time,
};
use voxanne_telephony::hybrid::{
    CodeHash,
    ports::{CodeHashes, CodeHashingFailed},
};
use voxanne_tenancy::{HashingFailed, PasswordCheck, PasswordHash, Passwords};

/// How long a request waits for its turn to hash.
const LONGEST_QUEUE: Duration = Duration::from_secs(10);

/// Hashes on threads of its own, few at a time: each hash takes 19 MiB and tens of milliseconds.
#[derive(Debug, Clone)]
pub struct Argon2Passwords {
    turns: Arc<Semaphore>,
}

impl Default for Argon2Passwords {
    fn default() -> Self {
        Self::new()
    }
}

impl Argon2Passwords {
    /// Hashes at most as many passwords at once as there are cores.
    pub fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self { turns: Arc::new(Semaphore::new(cores)) }
    }

    /// Runs `work` when it is its turn. The turn goes along to the thread, so that a caller who hangs up does not make
    /// room for another while the memory is still in use.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, password_hash::Error> + Send + 'static,
    ) -> Result<T, HashingFailed> {
        let turn: OwnedSemaphorePermit = time::timeout(LONGEST_QUEUE, self.turns.clone().acquire_owned())
            .await
            .map_err(failed)?
            .map_err(failed)?;
        let outcome = task::spawn_blocking(move || {
            let outcome = work();
            drop(turn);
            outcome
        });
        outcome.await.map_err(failed)?.map_err(failed)
    }
}

fn failed(error: impl Error + Send + Sync + 'static) -> HashingFailed {
    HashingFailed(Box::new(error))
}

#[async_trait]
impl Passwords for Argon2Passwords {
    async fn hash(&self, password: SecretString) -> Result<PasswordHash, HashingFailed> {
        self.in_turn(move || {
            let hash: phc::PasswordHash =
                Argon2::default().hash_password(password.expose_secret().as_bytes())?;
            Ok(PasswordHash::new(hash.to_string()))
        })
        .await
    }

    async fn check(
        &self,
        password: SecretString,
        hash: Option<PasswordHash>,
    ) -> Result<PasswordCheck, HashingFailed> {
        self.in_turn(move || compare(password.expose_secret().as_bytes(), hash.as_ref())).await
    }
}

/// A code has a million values, so that no hash can hide it for long: it expires, and three wrong ones lock it.
#[async_trait]
impl CodeHashes for Argon2Passwords {
    async fn hash(&self, code: SecretString) -> Result<CodeHash, CodeHashingFailed> {
        let hash = Passwords::hash(self, code).await.map_err(code_failed)?;
        Ok(CodeHash::new(hash.as_phc().to_owned()))
    }

    async fn fits(&self, code: SecretString, hash: &CodeHash) -> Result<bool, CodeHashingFailed> {
        let hash = PasswordHash::new(hash.as_phc());
        Ok(self.check(code, Some(hash)).await.map_err(code_failed)? != PasswordCheck::Wrong)
    }
}

fn code_failed(error: HashingFailed) -> CodeHashingFailed {
    CodeHashingFailed(Box::new(error))
}

fn compare(password: &[u8], stored: Option<&PasswordHash>) -> Result<PasswordCheck, password_hash::Error> {
    let Some(stored) = stored else {
        // As much work as comparing, so that the time does not tell that there is nothing to compare with.
        let _: phc::PasswordHash = Argon2::default().hash_password(password)?;
        return Ok(PasswordCheck::Wrong);
    };
    let stored =
        phc::PasswordHash::new(stored.as_phc()).map_err(|_| password_hash::Error::EncodingInvalid)?;
    match Argon2::default().verify_password(password, &stored) {
        Ok(()) if is_outdated(&stored) => Ok(PasswordCheck::RightButOutdated),
        Ok(()) => Ok(PasswordCheck::Right),
        Err(password_hash::Error::PasswordInvalid) => Ok(PasswordCheck::Wrong),
        Err(error) => Err(error),
    }
}

fn is_outdated(hash: &phc::PasswordHash) -> bool {
    let now = Params::default();
    let weaker = |then: Params| then.m_cost() < now.m_cost() || then.t_cost() < now.t_cost();
    hash.algorithm != argon2::ARGON2ID_IDENT || Params::try_from(hash).map_or(true, weaker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_hashed_with_argon2id_under_a_salt_of_its_own() {
        let passwords = Argon2Passwords::new();
        let one = Passwords::hash(&passwords, "an unusual phrase".into()).await.unwrap();
        let other = Passwords::hash(&passwords, "an unusual phrase".into()).await.unwrap();
        assert!(one.as_phc().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", one.as_phc());
        assert_ne!(one, other);
    }

    #[tokio::test]
    async fn only_the_right_password_fits_and_nothing_fits_nobody() {
        let passwords = Argon2Passwords::new();
        let hash = Passwords::hash(&passwords, "an unusual phrase".into()).await.unwrap();
        let check = |password: &str, hash| {
            let (passwords, password) = (passwords.clone(), SecretString::from(password));
            async move { passwords.check(password, hash).await.unwrap() }
        };
        assert_eq!(check("an unusual phrase", Some(hash.clone())).await, PasswordCheck::Right);
        assert_eq!(check("an unusual phrasE", Some(hash)).await, PasswordCheck::Wrong);
        assert_eq!(check("an unusual phrase", None).await, PasswordCheck::Wrong);
    }

    #[tokio::test]
    async fn a_code_is_hashed_like_a_password() {
        let codes = Argon2Passwords::new();
        let hash = CodeHashes::hash(&codes, "007302".into()).await.unwrap();
        assert!(hash.as_phc().starts_with("$argon2id$"));
        assert!(codes.fits("007302".into(), &hash).await.unwrap());
        assert!(!codes.fits("7302".into(), &hash).await.unwrap());
        assert!(codes.fits("007302".into(), &CodeHash::new("nonsense".to_owned())).await.is_err());
    }

    #[tokio::test]
    async fn a_hash_with_weaker_parameters_is_outdated_and_a_broken_one_is_an_error() {
        let weak = Argon2::new(
            argon2::Algorithm::Argon2id,
            argon2::Version::V0x13,
            Params::new(8_192, 1, 1, None).unwrap(),
        );
        let hash: phc::PasswordHash = weak.hash_password(b"an unusual phrase").unwrap();
        let passwords = Argon2Passwords::new();
        let check =
            passwords.check("an unusual phrase".into(), Some(PasswordHash::new(hash.to_string()))).await;
        assert_eq!(check.unwrap(), PasswordCheck::RightButOutdated);
        assert!(passwords.check("x".into(), Some(PasswordHash::new("not a hash"))).await.is_err());
    }
}
