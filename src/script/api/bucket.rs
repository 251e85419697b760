//! Buckets in scripts.

use rhai::Map;
use rhai::plugin::{Dynamic, Module, combine_with_exported_module, export_module};

use crate::change::{BucketField, BucketKey};
use crate::model::order::Side;
use crate::model::snapshot::folded;
use crate::script::api::arguments::new_task;
use crate::script::api::handles::{Bucket, Plan, Task};
use crate::script::api::value::{Fallible, OrRaise as _, frozen, frozen_list};

impl Bucket {
    /// Reads a field, which joins the read set.
    fn get<T>(&self, key: BucketKey<T>) -> Fallible<T> {
        self.session.bucket_field(&self.id, key).or_raise(&self.session)
    }

    /// Returns whether a text is its name or its id.
    pub(crate) fn goes_by(&self, text: &str) -> Fallible<bool> {
        let text = text.trim();
        let has_id = self.session.real(&self.id).as_str() == text;
        Ok(has_id || folded(&self.get(BucketField::NAME)?) == folded(text))
    }
}

pub(crate) fn add(module: &mut Module) {
    combine_with_exported_module!(module, "bucket", functions);
}

#[export_module]
mod functions {
    /// Its id; while the bucket is new a provisional one, which apply replaces by the real one.
    /// → text
    #[rhai_fn(get = "id", pure)]
    pub fn id(bucket: &mut Bucket) -> Dynamic {
        frozen(bucket.session.real(&bucket.id).to_string())
    }

    /// Its name.
    /// → text
    #[rhai_fn(get = "name", pure, volatile, return_raw)]
    pub fn name(bucket: &mut Bucket) -> Fallible<Dynamic> {
        Ok(bucket.get(BucketField::NAME)?.into())
    }

    /// Renames the bucket.
    #[rhai_fn(set = "name", pure, volatile, return_raw)]
    pub fn set_name(bucket: &mut Bucket, name: &str) -> Fallible<()> {
        let name = name.to_owned();
        bucket
            .session
            .setter()
            .edit_bucket(&bucket.id, |bucket| bucket.name = name)
            .or_raise(&bucket.session)
    }

    /// The plan that it belongs to.
    #[rhai_fn(get = "plan", pure, volatile, return_raw)]
    pub fn plan_of_bucket(bucket: &mut Bucket) -> Fallible<Plan> {
        let session = bucket.session.clone();
        let id = bucket.get(BucketField::PLAN)?;
        Ok(Plan { session, id })
    }

    /// Its tasks, completed ones too.
    /// → [Task]
    #[rhai_fn(get = "tasks", pure, volatile, return_raw)]
    pub fn tasks(bucket: &mut Bucket) -> Fallible<Dynamic> {
        let session = &bucket.session;
        let ids = session.tasks_in(&bucket.id).or_raise(session)?;
        Ok(frozen_list(ids.into_iter().map(|id| Task { session: session.clone(), id })))
    }

    /// Returns its tasks from top to bottom of the board; costs a request for each twenty.
    /// → [Task]
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn tasks_in_order(bucket: &mut Bucket) -> Fallible<Dynamic> {
        let session = &bucket.session;
        let ids = session.tasks_in_order(&bucket.id).or_raise(session)?;
        Ok(frozen_list(ids.into_iter().map(|id| Task { session: session.clone(), id })))
    }

    /// Its position among its siblings, by ordinal comparison.
    /// → text
    #[rhai_fn(get = "order_hint", pure, volatile, return_raw)]
    pub fn order_hint(bucket: &mut Bucket) -> Fallible<Dynamic> {
        let session = &bucket.session;
        let hint = bucket.get(BucketField::ORDER_HINT)?;
        if bucket.session.real(&bucket.id).is_provisional() {
            let error = crate::host::Error::NotYetKnown { what: "bucket", field: "order_hint" };
            return Err(error).or_raise(session);
        }
        Ok(frozen(hint))
    }

    /// Records a new task in this bucket; see `Plan.create_task`.
    #[rhai_fn(name = "create_task", volatile, pure, return_raw)]
    pub fn create_task_in_bucket(bucket: &mut Bucket, fields: Map) -> Fallible<Task> {
        let session = bucket.session.clone();
        let plan = bucket.get(BucketField::PLAN)?;
        let mut new = new_task(&session, &plan, fields)?;
        new.bucket.get_or_insert_with(|| session.real(&bucket.id).into_owned());
        let id = session.editor().or_raise(&session)?.create_task(&plan, new).or_raise(&session)?;
        Ok(Task { session, id })
    }

    /// Moves the bucket right before another of its plan.
    #[rhai_fn(name = "move_before", volatile, pure, return_raw)]
    pub fn bucket_before(bucket: &mut Bucket, other: Bucket) -> Fallible<()> {
        bucket
            .session
            .editor()
            .or_raise(&bucket.session)?
            .move_bucket(&bucket.id, &other.id, Side::Before)
            .or_raise(&bucket.session)
    }

    /// Moves the bucket right after another of its plan.
    #[rhai_fn(name = "move_after", volatile, pure, return_raw)]
    pub fn bucket_after(bucket: &mut Bucket, other: Bucket) -> Fallible<()> {
        bucket
            .session
            .editor()
            .or_raise(&bucket.session)?
            .move_bucket(&bucket.id, &other.id, Side::After)
            .or_raise(&bucket.session)
    }

    /// Records the deletion of the bucket and its tasks.
    #[rhai_fn(name = "delete", volatile, pure, return_raw)]
    pub fn delete_bucket(bucket: &mut Bucket) -> Fallible<()> {
        bucket
            .session
            .editor()
            .or_raise(&bucket.session)?
            .delete_bucket(&bucket.id)
            .or_raise(&bucket.session)
    }

    /// Returns whether they are the same bucket.
    #[rhai_fn(name = "==")]
    pub fn eq(a: Bucket, b: Bucket) -> bool {
        a.session.real(&a.id) == b.session.real(&b.id)
    }

    /// Returns whether they are different buckets.
    #[rhai_fn(name = "!=")]
    pub fn ne(a: Bucket, b: Bucket) -> bool {
        a.session.real(&a.id) != b.session.real(&b.id)
    }

    /// Its name, for texts.
    #[rhai_fn(name = "to_string", name = "to_debug", pure, volatile, return_raw)]
    pub fn bucket_to_string(bucket: &mut Bucket) -> Fallible<String> {
        bucket.get(BucketField::NAME)
    }
}
