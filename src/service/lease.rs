//! What only one instance should do at a time. A lease is no lock: who holds one may have been paused past its end, so whatever is done
//! under it is guarded by versions or by the log as everything else is.

use entity::Seconds;

use super::{Fault, Services};

/// Work of which there is one for all instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Asking for everybody at risk.
    RiskSweep,
    /// Keeping the directory in step.
    Directory,
    /// Forgetting what is over.
    Tidying,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Work::RiskSweep => "RISK_SWEEP",
            Work::Directory => "DIRECTORY",
            Work::Tidying => "TIDYING",
        }
    }
}

impl Services {
    /// Is this work this instance's for so long from now? Asked again while it goes on, it is renewed.
    pub(super) async fn hold(&self, work: Work, span: Seconds) -> Result<bool, Fault> {
        let now = self.clock.now();
        let until = now.plus(span);
        Ok(self.store.hold(work.name(), &self.instance, now, until).await?)
    }

    /// Gives it to whoever wants it.
    pub(super) async fn let_go(&self, work: Work) -> Result<(), Fault> {
        Ok(self.store.let_go(work.name(), &self.instance).await?)
    }
}
