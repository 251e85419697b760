//! Reading plans, their details and their buckets.

use crate::change::{BucketKey, EntityId, PlanDetailsKey, PlanKey, Read};
use crate::host::error::Error;
use crate::host::query::Query;
use crate::host::session::core::Session;
use crate::host::session::core::not_found;
use crate::model::{Bucket, BucketId, Plan, PlanDetails, PlanId, Versioned};

impl Session {
    // Plans

    /// Returns the ids of all plans within reach, by title.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub fn plans(&self) -> Result<Vec<PlanId>, Error> {
        let ids = self.peek_plans()?;
        self.count(Read::Plans);
        Ok(ids)
    }

    pub(crate) fn peek_plans(&self) -> Result<Vec<PlanId>, Error> {
        if self.state().snapshot.all_plans().is_none() {
            self.fetch(&Query::AllPlans)?;
        }
        let state = self.state();
        let read = state.snapshot.all_plans().unwrap_or_default().to_vec();
        if !self.overlaid() {
            return Ok(read);
        }
        let kept = read.into_iter().filter(|id| state.draft.plan(id) != Some(None));
        Ok(kept.chain(state.draft.new_plans().map(|plan| plan.id.clone())).collect())
    }

    /// Returns a whole plan; every field of it counts as read.
    ///
    /// # Errors
    /// It does not exist, is out of the agent's scope, or was deleted in this run.
    pub fn plan(&self, id: &PlanId) -> Result<Plan, Error> {
        let id = &*self.real(id);
        let plan = self.peek_plan(id)?;
        self.count(Read::Entity(EntityId::Plan(id.clone())));
        Ok(plan)
    }

    /// Returns a field of a plan.
    ///
    /// # Errors
    /// As [`Session::plan`].
    pub fn plan_field<T>(&self, id: &PlanId, key: PlanKey<T>) -> Result<T, Error> {
        let id = &*self.real(id);
        self.check_stop()?;
        let value = (key.get)(&self.peek_plan(id)?);
        self.count(Read::Field(EntityId::Plan(id.clone()), key.field));
        Ok(value)
    }

    /// Returns a plan for the host's own use: no decision rests on it, so it does not count as
    /// read.
    pub(crate) fn peek_plan(&self, id: &PlanId) -> Result<Plan, Error> {
        let id = &*self.real(id);
        if self.overlaid()
            && let Some(drafted) = self.state().draft.plan(id)
        {
            return drafted.cloned().ok_or(Error::Gone { what: "plan" });
        }
        Ok(self.read_plan(id)?.value)
    }

    pub(crate) fn read_plan(&self, id: &PlanId) -> Result<Versioned<Plan>, Error> {
        let entity = EntityId::Plan(id.clone());
        self.read_one("plan", &entity, &Query::Plan(id.clone()), |snapshot| snapshot.plan(id))
    }

    /// Returns the details of a plan, its labels and its sharing; both count as read.
    ///
    /// # Errors
    /// The plan does not exist or the service cannot be reached.
    pub fn plan_details(&self, id: &PlanId) -> Result<PlanDetails, Error> {
        let id = &*self.real(id);
        let details = self.peek_plan_details(id)?;
        self.count(Read::Entity(EntityId::PlanDetails(id.clone())));
        Ok(details)
    }

    /// Returns a field of the details of a plan.
    ///
    /// # Errors
    /// As [`Session::plan_details`].
    pub fn plan_details_field<T>(&self, id: &PlanId, key: PlanDetailsKey<T>) -> Result<T, Error> {
        let id = &*self.real(id);
        self.check_stop()?;
        let value = (key.get)(&self.peek_plan_details(id)?);
        self.count(Read::Field(EntityId::PlanDetails(id.clone()), key.field));
        Ok(value)
    }

    pub(crate) fn peek_plan_details(&self, id: &PlanId) -> Result<PlanDetails, Error> {
        let id = &*self.real(id);
        if self.overlaid()
            && let Some(drafted) = self.state().draft.plan_details(id)
        {
            return Ok(drafted.clone());
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
    /// The plan does not exist or the service cannot be reached.
    pub fn buckets(&self, plan: &PlanId) -> Result<Vec<BucketId>, Error> {
        let plan = &*self.real(plan);
        let ids = self.peek_buckets(plan)?;
        self.count(Read::Buckets(plan.clone()));
        Ok(ids)
    }

    pub(crate) fn peek_buckets(&self, plan: &PlanId) -> Result<Vec<BucketId>, Error> {
        let plan = &*self.real(plan);
        self.peek_plan(plan)?;
        if !plan.is_provisional() && self.state().snapshot.buckets_of(plan).is_none() {
            self.fetch(&Query::Buckets(plan.clone()))?;
        }
        let state = self.state();
        let ids = state.snapshot.buckets_of(plan).unwrap_or_default().to_vec();
        if !self.overlaid() {
            return Ok(ids);
        }
        let kept = ids.into_iter().filter(|id| state.draft.bucket(id) != Some(None));
        let new = state.draft.new_buckets(plan).map(|bucket| bucket.id.clone());
        let hint = |id: &BucketId| match state.draft.bucket(id) {
            Some(drafted) => drafted.map(|bucket| bucket.order_hint.clone()),
            None => state.snapshot.bucket(id).map(|read| read.value.order_hint.clone()),
        };
        let mut all: Vec<BucketId> = kept.chain(new).collect();
        all.sort_by_cached_key(|id| (hint(id), id.clone()));
        Ok(all)
    }

    /// Returns a whole bucket; every field of it counts as read.
    ///
    /// # Errors
    /// It does not exist, is out of scope, or was deleted in this run.
    pub fn bucket(&self, id: &BucketId) -> Result<Bucket, Error> {
        let id = &*self.real(id);
        let bucket = self.peek_bucket(id)?;
        self.count(Read::Entity(EntityId::Bucket(id.clone())));
        Ok(bucket)
    }

    /// Returns a field of a bucket.
    ///
    /// # Errors
    /// As [`Session::bucket`].
    pub fn bucket_field<T>(&self, id: &BucketId, key: BucketKey<T>) -> Result<T, Error> {
        let id = &*self.real(id);
        self.check_stop()?;
        let value = (key.get)(&self.peek_bucket(id)?);
        self.count(Read::Field(EntityId::Bucket(id.clone()), key.field));
        Ok(value)
    }

    pub(crate) fn peek_bucket(&self, id: &BucketId) -> Result<Bucket, Error> {
        let id = &*self.real(id);
        if self.overlaid()
            && let Some(drafted) = self.state().draft.bucket(id)
        {
            return drafted.cloned().ok_or(Error::Gone { what: "bucket" });
        }
        Ok(self.read_bucket(id)?.value)
    }

    pub(crate) fn read_bucket(&self, id: &BucketId) -> Result<Versioned<Bucket>, Error> {
        let entity = EntityId::Bucket(id.clone());
        self.read_one("bucket", &entity, &Query::Bucket(id.clone()), |snapshot| snapshot.bucket(id))
    }
}
