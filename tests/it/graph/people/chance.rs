//! Anything at any moment, by a seed, with the tenant itself as the model.

use entity::{DirectoryRole, Seconds};

use super::{empty, followed, follows, form, give, id, is_as, version};
use crate::graph::{impatient, until};
use crate::story;
use crate::support::graph::{Fault, Tenant};
use crate::support::{Dice, World};

/// What can go wrong.
const FAULTS: [Fault; 18] = [
    Fault::Slow,
    Fault::Silent,
    Fault::Stalled,
    Fault::Refused(400),
    Fault::Refused(403),
    Fault::StaleRoles,
    Fault::Throttled,
    Fault::Unavailable(2),
    Fault::Broken,
    Fault::Cut,
    Fault::Html(200),
    Fault::Html(404),
    Fault::Html(503),
    Fault::Revoked,
    Fault::Gone,
    Fault::Empty,
    Fault::Repeated,
    Fault::Elsewhere,
];

const PEOPLE: usize = 14;
const GROUPS: usize = 6;

fn group(number: usize) -> uuid::Uuid {
    id(0x100 + number as u128)
}

fn somebody(number: usize) -> uuid::Uuid {
    id(0x1000 + number as u128)
}

/// One change that a tenant can see.
fn changes(dice: &mut Dice, tenant: &mut Tenant) {
    let (who, whom) = (somebody(dice.below(PEOPLE)), somebody(dice.below(PEOPLE)));
    let (here, there) = (group(dice.below(GROUPS)), group(dice.below(GROUPS)));
    match dice.below(12) {
        0..=2 => tenant.hire(who, &format!("Person {}", dice.below(1_000))),
        3 if dice.below(3) == 0 => drop(tenant.users.remove(&who)),
        3..=4 => {
            if let Some(user) = tenant.users.get_mut(&who) {
                user.manager = (dice.below(4) > 0).then_some(whom);
                user.is_enabled = dice.below(4) > 0;
            }
        }
        5 => form(tenant, here, &[who, there]),
        6 if dice.below(2) == 0 => drop(tenant.groups.remove(&here)),
        6..=9 => {
            let member = if dice.below(3) == 0 { there } else { who };
            if let Some(group) = tenant.groups.get_mut(&here)
                && !group.members.remove(&member)
            {
                group.members.insert(member);
            }
        }
        10 => tenant.assignments.clear(),
        _ => {
            let role = dice.pick(&[DirectoryRole::SecurityAdministrator, DirectoryRole::SecurityReader]);
            give(tenant, role, if dice.below(2) == 0 { who } else { here });
            tenant.assignments.dedup();
        }
    }
}

/// One round that comes to its end; where the machine is too busy for a client that is impatient, a later one.
async fn catches_up(world: &World) {
    until("the directory is read", async || world.services().synchronize().await.is_ok()).await;
}

story!(whatever_goes_wrong_the_directory_ends_up_as_the_tenant_is, empty(), |world| {
    let mut dice = Dice::new(0x5eed);
    let graph = follows(world, |tenant| {
        (0..PEOPLE).for_each(|number| tenant.hire(somebody(number), &format!("Employee {number}")));
    })
    .await;
    graph.pages(3);
    world.connects(impatient(followed(&graph))).await;
    let (mut ends, mut failures) = (0, 0);
    for step in 0..60 {
        graph.change(|tenant| (0..dice.below(4)).for_each(|_| changes(&mut dice, tenant)));
        if dice.below(8) == 0 {
            graph.forget_changes();
        }
        if step % 10 == 0 {
            graph.chance(step, 8, &FAULTS);
        }
        match world.services().synchronize().await {
            Ok(_) => ends += 1,
            Err(_) => failures += 1,
        }
        if dice.below(10) == 0 {
            world.restart().await;
        }
        world.clock.advance(Seconds::minutes(3));
        if step % 10 == 9 {
            graph.recover();
            // What was being read is what the tenant was when that began; one round more reads what has changed since.
            catches_up(world).await;
            catches_up(world).await;
            // What a listing under fire left out stays until the next one, or until somebody agrees.
            if world.services().approve_removals().await.expect("an answer") {
                catches_up(world).await;
            }
            is_as(world, &graph).await;
        }
    }
    assert!(ends > 5 && failures > 5, "{ends} rounds came to their end, {failures} did not");
    let before = version(world).await;
    catches_up(world).await;
    assert_eq!(version(world).await, before);
});
