//! Forgetting what is over and was never history: idempotency keys whose life has ended, and counts of questions that nobody asks for any
//! more. The log, and whatever it tells of, is kept for ever.

use entity::Seconds;

use super::lease::Work;
use super::request::KEY_LIFE;
use super::{Fault, Services};

/// Idempotency keys that go in one statement.
const BATCH: usize = 500;
/// So much longer a key is kept than it counts: an instance whose clock is fast must not forget what counts for another.
const REST: Seconds = Seconds::hours(1);
/// So long the questions to risk sources are counted.
const COUNTED: Seconds = Seconds::hours(2);
/// So long one batch may take before another instance may begin.
const LEASE: Seconds = Seconds(60);

impl Services {
    /// Forgets all of it, unless another instance does so now; returns how many idempotency keys.
    pub async fn tidy(&self) -> Result<usize, Fault> {
        let mut forgotten = 0;
        while self.hold(Work::Tidying, LEASE).await? {
            let now = self.clock.now();
            let gone = self.store.forget_idempotency(now.minus(KEY_LIFE).minus(REST), BATCH).await?;
            forgotten += gone;
            if gone < BATCH {
                self.store.forget_pace(now.minus(COUNTED)).await?;
                self.let_go(Work::Tidying).await?;
                break;
            }
        }
        Ok(forgotten)
    }
}
