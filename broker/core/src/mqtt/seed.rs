//! Rows for MQTT that the configuration asks for at the first start: `[[mqtt]]` and `controller.mqtt`.

use crate::boot::SeedParams;
use crate::config::{ControllerMqttSeed, MqttSeed};
use crate::dm::rows::ObjRef;
use crate::{Broker, StartError};

impl Broker {
    /// One row of `Device.MQTT.Client.`, and one of `Device.LocalAgent.MTP.` that uses it. Both are on.
    pub(crate) fn seed_mqtt(&mut self, seed: &MqttSeed) -> Result<(), StartError> {
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut client = vec![
            own("Name", &seed.name),
            own("Enable", "true"),
            own("BrokerAddress", &seed.host),
            ("BrokerPort".to_owned(), seed.port.to_string()),
            own("ProtocolVersion", seed.version.name()),
            own("ClientID", &seed.client_id),
            own("Username", &seed.username),
            own("Password", &seed.password),
        ];
        client.extend(seed.params.iter().cloned());
        let row = self.seed_object("Device.MQTT.Client.", &client)?;
        let mtp = [
            own("Protocol", "MQTT"),
            own("Enable", "true"),
            ("MQTT.Reference".to_owned(), self.reference(&row)),
            own("MQTT.ResponseTopicConfigured", &seed.response_topic),
        ];
        self.seed_object("Device.LocalAgent.MTP.", &mtp).map(|_| ())
    }

    /// How a Controller of the configuration is reached over MQTT.
    pub(crate) fn seed_route(
        &mut self,
        controller: &ObjRef,
        seed: &ControllerMqttSeed,
    ) -> Result<(), StartError> {
        let path = format!("{}MTP.", self.model.path(controller));
        let mtp = self.mtp_of_client_named(&seed.client).ok_or_else(|| StartError::Seed {
            path: path.clone(),
            problem: format!("there is no MQTT client '{}'", seed.client),
        })?;
        let params: SeedParams = vec![
            ("Protocol".to_owned(), "MQTT".to_owned()),
            ("Enable".to_owned(), "true".to_owned()),
            ("MQTT.Topic".to_owned(), seed.topic.clone()),
            ("MQTT.AgentMTPReference".to_owned(), self.reference(&mtp)),
        ];
        self.seed_object(&path, &params).map(|_| ())
    }

    fn mtp_of_client_named(&self, name: &str) -> Option<ObjRef> {
        let clients = self.model.table("Device.MQTT.Client.")?;
        let client = self.reference(&self.model.row_with(clients, &[], "Name", name)?);
        let mtps = self.model.table("Device.LocalAgent.MTP.")?;
        let details = self.model.schema.find("Device.LocalAgent.MTP.{i}.MQTT.")?;
        let mut rows = self.model.rows.of_table(mtps, &[]).map(|(at, _)| at);
        let uses_it = |at: &&ObjRef| {
            let details = ObjRef { object: details, numbers: at.numbers.clone() };
            self.model.rows.param(&details, "Reference") == Some(&client)
        };
        rows.find(uses_it).cloned()
    }

    /// A row's path as references have it, without the final dot (R-ARC.11).
    fn reference(&self, row: &ObjRef) -> String {
        self.model.path(row).trim_end_matches('.').to_owned()
    }
}
