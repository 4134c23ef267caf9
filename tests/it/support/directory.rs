//! Changes of the directory, as an operator loads them: a file that holds only what changes.

use entity::{GroupId, RiskLevel, Seconds, UserId};
use riskgate::demo;
use riskgate::domain::permission::Principal;
use riskgate::service::{ImportOptions, Picture};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Person, World};

const DEMO: &str = include_str!("../../../demo/directory.json");

impl World {
    /// Loads what the file holds, and deletes nothing.
    pub async fn imports(&self, file: Value) {
        let picture: Picture = serde_json::from_value(file).expect("a file of the directory");
        let options = ImportOptions { partial: true, ..ImportOptions::default() };
        let imported = self.services().import(&picture, options).await.expect("the file is loaded");
        assert!(imported.is_changed, "the import should change something");
    }

    /// Loads somebody of the demo world anew, changed in one member.
    pub async fn changes(&self, name: &str, member: &str, value: Value) {
        let demo: Value = serde_json::from_str(DEMO).expect("the demo's file");
        let upn = format!("{name}@example.com");
        let found =
            demo["users"].as_array().expect("users").iter().find(|user| user["userPrincipalName"] == upn.as_str());
        let mut user = found.expect("somebody of the demo world").clone();
        user[member] = value;
        self.imports(json!({ "users": [user] })).await;
    }

    /// Loads somebody of the demo world as they were, where they are not.
    pub async fn restores(&self, name: &str) {
        let mut picture: Picture = serde_json::from_str(DEMO).expect("the demo's file");
        picture.groups.clear();
        picture.users.retain(|user| user.user_principal_name == format!("{name}@example.com"));
        let options = ImportOptions { partial: true, ..ImportOptions::default() };
        self.services().import(&picture, options).await.expect("the file is loaded");
    }

    /// Loads the demo world as it was, without somebody.
    pub async fn deletes(&self, name: &str) {
        let mut picture: Picture = serde_json::from_str(DEMO).expect("the demo's file");
        picture.users.retain(|user| user.user_principal_name != format!("{name}@example.com"));
        self.services().import(&picture, ImportOptions::default()).await.expect("the file is loaded");
    }

    /// Loads a group of the demo world anew, with these members.
    pub async fn regroups(&self, group: GroupId, members: &[&str]) {
        let members: Vec<_> = members.iter().map(|name| self.person(name).id.0).collect();
        self.imports(json!({ "groups": [{ "id": group.0, "displayName": "finance-owners", "memberIds": members }] }))
            .await;
    }

    /// So many people who were not there before, each with a high risk, signed in at the first instance.
    pub async fn risky_crowd(&self, size: u128) -> Vec<Person> {
        let id = |number: u128| UserId(Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0001_0000 + number));
        let upn = |number: u128| format!("crowd{number}@example.com");
        let user = |number| json!({ "id": id(number).0, "displayName": format!("Crowd {number}"), "userPrincipalName": upn(number), "isEnabled": true });
        self.imports(json!({ "users": (0..size).map(user).collect::<Vec<_>>() })).await;
        let ada = demo::people().into_iter().find(|person| person.upn == "ada@example.com").expect("ada");
        let ada = self.services().actor(&Principal::Person(ada.id)).await.expect("an answer").expect("ada may sign in");
        for number in 0..size {
            let reported = self.services().report_user_risk(&ada, id(number), RiskLevel::High, None).await;
            reported.expect("the risk is reported");
        }
        (0..size)
            .map(|number| self.holder(self.app().address, id(number), &upn(number), Seconds::hours(8_000)))
            .collect()
    }
}
