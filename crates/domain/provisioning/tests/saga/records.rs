//! The records, as a process reaches them.

use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use uuid::Uuid;
use voxanne_kernel::{
    Audit, Begin, Claim, Claims, Clock, Commit, E164, ExtendClaim, NewAudit, NewJob, OrgScope, Outbox,
    StoreError, Timestamp,
};
use voxanne_provisioning::{
    Answering, LineKind, LineRecords, Organization, RoutedNumber, Setup, SetupNotices, SetupRecords, SetupTx,
    StepName,
};

use crate::world::{Kind, Process, Rows, name_of};

struct Tx {
    process: Process,
    rows: Rows,
    extended: Vec<(Claim, Duration)>,
}

#[async_trait]
impl Begin<dyn SetupTx> for Process {
    async fn begin(&self, _: &OrgScope) -> Result<Box<dyn SetupTx>, StoreError> {
        let hit = self.point(Kind::Begin, "begin").await;
        self.passed(hit).await;
        let rows = self.world.state().rows.clone();
        Ok(Box::new(Tx { process: self.clone(), rows, extended: Vec::new() }))
    }
}

#[async_trait]
impl Commit for Tx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { process, rows, extended } = *self;
        let now = process.world.clock.now();
        let put = move |state: &mut crate::world::State| {
            state.rows = rows;
            for (claim, length) in extended {
                let until = now + SignedDuration::try_from(length).unwrap();
                state.claims.insert(claim.what, (claim.token, until));
            }
        };
        process.store("commit", put).await
    }
}

#[async_trait]
impl ExtendClaim for Tx {
    async fn extend(&mut self, claim: &Claim, length: Duration) -> Result<bool, StoreError> {
        let is_held = self.process.holds(&self.process.world.state(), claim);
        if is_held {
            self.extended.push((claim.clone(), length));
        }
        Ok(is_held)
    }
}

#[async_trait]
impl Outbox for Tx {
    async fn enqueue(&mut self, job: NewJob) -> Result<(), StoreError> {
        self.rows.jobs.push(job);
        Ok(())
    }
}

#[async_trait]
impl Audit for Tx {
    async fn record(&mut self, _: NewAudit) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl SetupRecords for Tx {
    async fn setup(&mut self) -> Result<Option<Setup>, StoreError> {
        Ok(self.rows.setup.clone())
    }

    async fn setup_to_change(&mut self) -> Result<Option<Setup>, StoreError> {
        Ok(self.rows.setup.clone())
    }

    async fn put_setup(&mut self, setup: &Setup) -> Result<(), StoreError> {
        self.rows.setup = Some(setup.clone());
        Ok(())
    }
}

#[async_trait]
impl SetupNotices for Tx {
    async fn tell_ready(&mut self, _: &Setup, _: Timestamp) -> Result<bool, StoreError> {
        self.rows.mails.push("ready".to_owned());
        Ok(true)
    }

    async fn tell_failed(&mut self, step: StepName, _: Timestamp) -> Result<bool, StoreError> {
        self.rows.mails.push(format!("failed:{step}"));
        Ok(true)
    }
}

#[async_trait]
impl LineRecords for Tx {
    async fn organization(&mut self) -> Result<Option<Organization>, StoreError> {
        Ok(Some(Organization {
            name: "Glow".to_owned(),
            is_verified: !self.rows.suspended,
            is_stopped: self.rows.suspended,
            answering: Answering::Bound,
            alert_phone: None,
            has_owner: true,
        }))
    }

    async fn inbound_assistant(&mut self) -> Result<Option<String>, StoreError> {
        Ok(self.rows.assistants.get("inbound").and_then(|row| row.id.clone()))
    }

    async fn has_assistant(&mut self, kind: LineKind) -> Result<bool, StoreError> {
        Ok(self.rows.assistants.contains_key(name_of(kind)))
    }

    async fn brings_account(&mut self) -> Result<bool, StoreError> {
        Ok(self.rows.brings)
    }

    async fn numbers(&mut self) -> Result<Vec<RoutedNumber>, StoreError> {
        Ok(self.rows.routes.clone())
    }

    async fn expects_a_number(&mut self) -> Result<bool, StoreError> {
        Ok(self.rows.expects)
    }

    async fn forget_number(&mut self, number: &E164) -> Result<(), StoreError> {
        self.rows.routes.retain(|route| route.number != *number);
        Ok(())
    }
}

#[async_trait]
impl Claims for Process {
    /// Nobody waits: time stands still.
    async fn claim(
        &self,
        _: &OrgScope,
        what: &str,
        length: Duration,
        _: Duration,
    ) -> Result<Option<Claim>, StoreError> {
        let (now, what) = (self.world.clock.now(), what.to_owned());
        let until = now + SignedDuration::try_from(length).unwrap();
        self.store("claim", move |state| {
            if state.claims.get(&what).is_some_and(|(_, held)| *held > now) {
                return None;
            }
            let token = Uuid::now_v7();
            state.claims.insert(what.clone(), (token, until));
            Some(Claim { what, token })
        })
        .await
    }

    async fn release(&self, _: &OrgScope, claim: Claim) -> Result<(), StoreError> {
        self.store("release", move |state| {
            if state.claims.get(&claim.what).is_some_and(|(token, _)| *token == claim.token) {
                state.claims.remove(&claim.what);
            }
        })
        .await
    }

    async fn keep(&self, _: &OrgScope, _: &Claim, _: Duration) {
        std::future::pending::<()>().await;
    }
}
