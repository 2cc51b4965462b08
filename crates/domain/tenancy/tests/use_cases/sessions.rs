//! Signing in, guessing passwords, and how long a session lives.

use voxanne_tenancy::{
    PasswordHash, SignInError,
    ports::EndOfSession,
    session::{IDLE_LIFETIME, REUSE_WINDOW},
};

use crate::world::{PASSWORD, World};

const DAY: i64 = 86_400;

#[tokio::test]
async fn unknown_accounts_and_wrong_passwords_are_refused_alike_after_the_same_work() {
    let world = World::new();
    world.sign_up("ann@example.com").await.unwrap();
    for email in ["ann@example.com", "nobody@example.com"] {
        let before = world.passwords.work();
        assert!(matches!(world.sign_in(email, "not the password").await, Err(SignInError::Refused)));
        assert_eq!(world.passwords.work(), before + 1);
    }
}

#[tokio::test]
async fn after_five_failures_even_the_right_password_waits_whether_the_account_exists_or_not() {
    let world = World::new();
    world.sign_up("ann@example.com").await.unwrap();
    for email in ["ann@example.com", "nobody@example.com"] {
        for _ in 0..5 {
            assert!(matches!(world.sign_in(email, "not the password").await, Err(SignInError::Refused)));
        }
        let work = world.passwords.work();
        let Err(SignInError::TooManyTries(wait)) = world.sign_in(email, PASSWORD).await else { panic!() };
        assert_eq!((wait.seconds(), world.passwords.work()), (1, work));
    }
    world.pass(1);
    assert!(world.sign_in("ann@example.com", PASSWORD).await.is_ok());
    assert!(matches!(world.sign_in("ann@example.com", "not the password").await, Err(SignInError::Refused)));
}

#[tokio::test]
async fn one_address_cannot_try_many_accounts() {
    let world = World::new();
    for i in 0..20 {
        let email = format!("nobody{i}@example.com");
        assert!(matches!(world.sign_in(&email, "not the password").await, Err(SignInError::Refused)));
    }
    let refused = world.sign_in("other@example.com", "not the password").await;
    let Err(SignInError::TooManyTries(wait)) = refused else { panic!() };
    assert_eq!(wait.seconds(), 60);
}

#[tokio::test]
async fn an_outdated_hash_is_replaced_when_its_owner_signs_in() {
    let world = World::new();
    let ann = world.sign_up("ann@example.com").await.unwrap();
    let id = ann.account.user.id;
    world.store.tamper(|state| {
        state.users.get_mut(&id).unwrap().password = Some(PasswordHash::new(format!("old:{PASSWORD}")));
    });
    world.sign_in("ann@example.com", PASSWORD).await.unwrap();
    let stored = world.store.state().users[&id].password.clone().unwrap();
    assert_eq!(stored.as_phc(), format!("quick:{PASSWORD}"));
}

#[tokio::test]
async fn each_token_is_exchanged_once_for_the_next() {
    let world = World::new();
    let mut token = world.sign_up("ann@example.com").await.unwrap().refresh;
    for _ in 0..5 {
        world.pass(60);
        token = world.refresh(&token).await.unwrap();
    }
    assert_eq!(world.store.state().tokens.len(), 6);
}

#[tokio::test]
async fn a_lost_answer_is_given_again_and_the_chain_does_not_fork() {
    let world = World::new();
    let first = world.sign_up("ann@example.com").await.unwrap().refresh;
    let second = world.refresh(&first).await.unwrap();
    world.pass(REUSE_WINDOW.as_secs());
    assert_eq!(world.refresh(&first).await.unwrap(), second);
    assert!(world.refresh(&second).await.is_some());
}

#[tokio::test]
async fn an_older_token_ends_the_whole_session() {
    let world = World::new();
    let ann = world.sign_up("ann@example.com").await.unwrap();
    let other_device = world.sign_in("ann@example.com", PASSWORD).await.unwrap().refresh;
    let second = world.refresh(&ann.refresh).await.unwrap();
    let third = world.refresh(&second).await.unwrap();
    assert!(world.refresh(&ann.refresh).await.is_none());
    assert!(world.refresh(&third).await.is_none());
    assert!(world.refresh(&other_device).await.is_some());
    let ended: Vec<_> = world.store.state().sessions.into_values().filter_map(|(_, ended)| ended).collect();
    assert_eq!(ended, [EndOfSession::TokenReused]);
}

#[tokio::test]
async fn the_direct_parent_ends_the_session_when_it_comes_too_late() {
    let world = World::new();
    let first = world.sign_up("ann@example.com").await.unwrap().refresh;
    let second = world.refresh(&first).await.unwrap();
    world.pass(REUSE_WINDOW.as_secs() + 1);
    assert!(world.refresh(&first).await.is_none());
    assert!(world.refresh(&second).await.is_none());
}

#[tokio::test]
async fn a_session_ends_when_it_idles_and_in_any_case_after_thirty_days() {
    let world = World::new();
    let idle = world.sign_up("ann@example.com").await.unwrap().refresh;
    world.pass(IDLE_LIFETIME.as_secs());
    assert!(world.refresh(&idle).await.is_none());

    let mut busy = world.sign_in("ann@example.com", PASSWORD).await.unwrap().refresh;
    for day in 1..=30 {
        world.pass(DAY);
        match world.refresh(&busy).await {
            Some(next) => busy = next,
            None => assert_eq!(day, 30),
        }
    }
    assert!(world.refresh(&busy).await.is_none());
}

#[tokio::test]
async fn signing_out_ends_the_session_and_says_nothing_about_unknown_tokens() {
    let world = World::new();
    let ann = world.sign_up("ann@example.com").await.unwrap();
    world.sign_out.run(&voxanne_tenancy::RefreshToken::generate()).await.unwrap();
    world.sign_out.run(&ann.refresh).await.unwrap();
    assert!(world.refresh(&ann.refresh).await.is_none());
}
