//! Reading risk again for a request that is under way.

use entity::{EvaluationId, RiskSource, StageId, request};

use super::request::{control_facts, possible_sets};
use super::{Fault, Services};
use crate::domain::living::Again;
use crate::domain::route::{ControlFacts, Facts};

impl Services {
    /// Plans a request again, by what the sources say now; `approving` is the stage whose approval is about to be given. The directory's
    /// version was read before.
    pub(super) async fn plan_again(
        &self,
        request: &request::Model,
        approving: Option<StageId>,
        directory_version: i64,
    ) -> Result<Again, Fault> {
        let course = self.store.course(request.id).await?;
        let stored: Facts = serde_json::from_str(&request.facts)
            .map_err(|error| Fault::Internal(format!("the facts of {} cannot be read: {error}", request.id)))?;
        let controls: Vec<ControlFacts> = self.store.controls().await?.into_iter().map(control_facts).collect();
        let mut people = vec![request.requestor_id];
        if request.target_id != request.requestor_id {
            people.push(request.target_id);
        }
        let asking: Vec<_> = controls.iter().filter(|control| control.asks_again()).cloned().collect();
        let readings = asking.iter().map(|control| self.sources.read(control.source, &people, &self.clock));
        let readings: Vec<_> = futures_util::future::join_all(readings).await.into_iter().flatten().collect();
        let sets = possible_sets(&asking, &[], request.target_id);
        let approvers = self.store.resolve(&sets, request.requestor_id, request.target_id).await?;
        let stage_ids = RiskSource::ALL.iter().map(|_| StageId::new()).collect();
        let evaluation_ids = readings.iter().map(|_| EvaluationId::new()).collect();
        let facts = Facts { directory_version, controls, readings, approvers, ..stored };
        Ok(Again::plan(&facts, &course, approving, stage_ids, evaluation_ids))
    }
}
