//! Reading plans, their details and their buckets through the run's snapshot.

use crate::host::broker::{Query, Response};
use crate::host::session::not_found;
use crate::host::session::read_set::ListRead;
use crate::host::{Error, Session};
use crate::model::{Bucket, BucketId, Plan, PlanDetails, PlanId, Versioned};

impl Session {
    // Plans

    /// Returns the ids of all plans within reach, by title.
    ///
    /// # Errors
    /// The service can not be asked.
    pub fn plans(&self) -> Result<Vec<PlanId>, Error> {
        if self.state().snapshot.all_plans().is_none() {
            self.fetch(&Query::AllPlans)?;
        }
        let state = self.state();
        let read = state.snapshot.all_plans().unwrap_or_default().to_vec();
        if !self.overlaid() {
            return Ok(read);
        }
        let kept = read.into_iter().filter(|id| state.draft.plan(id) != Some(None));
        Ok(kept.chain(state.draft.new_plans().map(|it| it.id.clone())).collect())
    }

    /// Returns a plan.
    ///
    /// # Errors
    /// It does not exist, is out of the agent's scope, or was deleted in this run.
    pub fn plan(&self, id: &PlanId) -> Result<Plan, Error> {
        let id = &*self.real(id);
        if self.overlaid()
            && let Some(wanted) = self.state().draft.plan(id)
        {
            return wanted.cloned().ok_or(Error::Gone { what: "plan" });
        }
        Ok(self.read_plan(id)?.value)
    }

    pub(crate) fn read_plan(&self, id: &PlanId) -> Result<Versioned<Plan>, Error> {
        if let Some(plan) = self.state().snapshot.plan(id) {
            return Ok(plan.clone());
        }
        let missing = || not_found("plan", id.as_str());
        if id.is_provisional() {
            return Err(missing());
        }
        match self.fetch(&Query::Plan(id.clone())) {
            Ok(Response::Plan(plan)) => Ok(plan),
            Ok(_) => Err(missing()),
            Err(error) if error.is_not_found() => Err(missing()),
            Err(error) => Err(error),
        }
    }

    /// Returns the details of a plan: its labels and with whom it is shared.
    ///
    /// # Errors
    /// The plan does not exist or the service can not be asked.
    pub fn plan_details(&self, id: &PlanId) -> Result<PlanDetails, Error> {
        let id = &*self.real(id);
        if self.overlaid()
            && let Some(wanted) = self.state().draft.plan_details(id)
        {
            return Ok(wanted.clone());
        }
        if id.is_provisional() {
            return Ok(PlanDetails::default());
        }
        Ok(self.read_plan_details(id)?.value)
    }

    pub(crate) fn read_plan_details(&self, id: &PlanId) -> Result<Versioned<PlanDetails>, Error> {
        if self.state().snapshot.plan_details(id).is_none() {
            self.fetch(&Query::PlanDetails(id.clone()))?;
        }
        let read = self.state().snapshot.plan_details(id).cloned();
        read.ok_or_else(|| not_found("plan", id.as_str()))
    }

    // Buckets

    /// Returns the ids of a plan's buckets in board order.
    ///
    /// # Errors
    /// The plan does not exist or the service can not be asked.
    pub fn buckets(&self, plan: &PlanId) -> Result<Vec<BucketId>, Error> {
        let plan = &*self.real(plan);
        self.note_list(ListRead::Buckets(plan.clone()));
        self.listed_buckets(plan)
    }

    /// The same where the caller says what of it counts as read.
    pub(crate) fn listed_buckets(&self, plan: &PlanId) -> Result<Vec<BucketId>, Error> {
        let plan = &*self.real(plan);
        self.plan(plan)?;
        let read = self.state().snapshot.buckets_of(plan).map(<[_]>::to_vec);
        let ids = match read {
            Some(ids) => ids,
            None if plan.is_provisional() => Vec::new(),
            None => {
                self.fetch(&Query::Buckets(plan.clone()))?;
                self.state().snapshot.buckets_of(plan).unwrap_or_default().to_vec()
            }
        };
        if !self.overlaid() {
            return Ok(ids);
        }
        let state = self.state();
        let kept = ids.into_iter().filter(|id| state.draft.bucket(id) != Some(None));
        let new = state.draft.new_buckets(plan).map(|it| it.id.clone());
        let hint = |id: &BucketId| match state.draft.bucket(id) {
            Some(wanted) => wanted.map(|it| it.order_hint.clone()),
            None => state.snapshot.bucket(id).map(|it| it.value.order_hint.clone()),
        };
        let mut all: Vec<BucketId> = kept.chain(new).collect();
        all.sort_by_cached_key(|id| (hint(id), id.clone()));
        Ok(all)
    }

    /// Returns a bucket.
    ///
    /// # Errors
    /// It does not exist, is out of scope, or was deleted in this run.
    pub fn bucket(&self, id: &BucketId) -> Result<Bucket, Error> {
        let id = &*self.real(id);
        if self.overlaid()
            && let Some(wanted) = self.state().draft.bucket(id)
        {
            return wanted.cloned().ok_or(Error::Gone { what: "bucket" });
        }
        Ok(self.read_bucket(id)?.value)
    }

    pub(crate) fn read_bucket(&self, id: &BucketId) -> Result<Versioned<Bucket>, Error> {
        if let Some(bucket) = self.state().snapshot.bucket(id) {
            return Ok(bucket.clone());
        }
        let missing = || not_found("bucket", id.as_str());
        if id.is_provisional() {
            return Err(missing());
        }
        match self.fetch(&Query::Bucket(id.clone())) {
            Ok(Response::Bucket(bucket)) => Ok(bucket),
            Ok(_) => Err(missing()),
            Err(error) if error.is_not_found() => Err(missing()),
            Err(error) => Err(error),
        }
    }
}
