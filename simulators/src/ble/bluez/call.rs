//! Method calls: who answers which.

use zbus::message::Type;
use zbus::{DynamicType, Message, OwnedVariant};

use super::object::{ADAPTER1, AGENT_MANAGER1, CHARACTERISTIC1, DESCRIPTOR1, DEVICE1};
use super::said::{Body, Refusal};
use super::{ADAPTER, Bluez, introspect};

/// A method call.
pub(in crate::ble) struct Call {
    pub(super) message: Message,
    pub(super) client: String,
    pub(super) path: String,
    pub(super) interface: String,
    pub(super) member: String,
}

impl Call {
    /// `None`: it is something else.
    pub(in crate::ble) fn of(message: &Message) -> Option<Self> {
        if message.message_type() != Type::MethodCall {
            return None;
        }
        let header = message.header();
        Some(Self {
            client: header.sender()?.to_string(),
            path: header.path()?.to_string(),
            interface: header.interface().map(ToString::to_string).unwrap_or_default(),
            member: header.member()?.to_string(),
            message: message.clone(),
        })
    }

    /// What it was called with.
    pub(super) fn arguments<T>(&self) -> Result<T, Refusal>
    where
        T: serde::de::DeserializeOwned + zbus::Type,
    {
        self.message.body().deserialize().map_err(|_| Refusal::arguments())
    }
}

/// What comes of a call.
pub(super) enum Done {
    /// This.
    Now(Body),
    /// The answer comes by itself.
    Later,
}

impl From<Body> for Done {
    fn from(body: Body) -> Self {
        Self::Now(body)
    }
}

impl Bluez {
    /// Does what a client wants.
    pub(in crate::ble) fn call(&mut self, call: Call) {
        let done = self.dispatch(&call);
        match done {
            Ok(Done::Now(body)) => self.answer(call.message, Ok(body)),
            Ok(Done::Later) => {}
            Err(refusal) => self.answer(call.message, Err(refusal)),
        }
    }

    fn dispatch(&mut self, call: &Call) -> Result<Done, Refusal> {
        let unknown = || Refusal::method(&call.interface, &call.member);
        let object = self.object(&call.path).ok_or_else(|| Refusal::object(&call.path))?;
        let has = |interface: &str| object.contains_key(interface);
        match (call.interface.as_str(), call.member.as_str()) {
            ("org.freedesktop.DBus.Introspectable", "Introspect") => {
                Ok(Body::Text(introspect::xml(&object, &self.children(&call.path))).into())
            }
            ("org.freedesktop.DBus.Peer", "Ping") => Ok(Body::Nothing.into()),
            ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects") if call.path == "/" => {
                Ok(Body::Objects(self.objects()).into())
            }
            ("org.freedesktop.DBus.Properties", _) => self.properties(call).map(Done::from),
            (ADAPTER1, _) if has(ADAPTER1) => self.adapter_call(call).map(Done::from),
            (DEVICE1, _) if has(DEVICE1) => self.device_call(call),
            (AGENT_MANAGER1, _) if has(AGENT_MANAGER1) => self.agent_call(call).map(Done::from),
            (CHARACTERISTIC1, _) if has(CHARACTERISTIC1) => self.characteristic_call(call),
            (DESCRIPTOR1, _) if has(DESCRIPTOR1) => self.descriptor_call(call).map(Done::from),
            _ => Err(unknown()),
        }
    }

    /// `org.freedesktop.DBus.Properties`
    fn properties(&mut self, call: &Call) -> Result<Body, Refusal> {
        let object = self.object(&call.path).unwrap_or_default();
        let of = |interface: &str| {
            let refusal = || {
                Refusal::new(
                    "org.freedesktop.DBus.Error.InvalidArgs",
                    format!("No such interface '{interface}'"),
                )
            };
            object.get(interface).cloned().ok_or_else(refusal)
        };
        match call.member.as_str() {
            "Get" => {
                let (interface, name): (String, String) = call.arguments()?;
                of(&interface)?.remove(&name).map(Body::Variant).ok_or_else(|| Refusal::property(&name))
            }
            "GetAll" => of(&call.arguments::<String>()?).map(Body::Props),
            "Set" => {
                let (interface, name, value): (String, String, OwnedVariant) = call.arguments()?;
                of(&interface)?;
                match interface.as_str() {
                    ADAPTER1 if call.path == ADAPTER => self.set_adapter(&name, value)?,
                    DEVICE1 => self.set_device(&call.path, &name, value)?,
                    _ => return Err(Refusal::property(&name)),
                }
                Ok(Body::Nothing)
            }
            _ => Err(Refusal::method(&call.interface, &call.member)),
        }
    }

    /// The names of what is right below a path.
    fn children(&self, path: &str) -> Vec<String> {
        let start = if path == "/" { path.to_owned() } else { format!("{path}/") };
        // There may be very many devices: whoever looks into one sees that one alone.
        let objects = match self.device_above(path) {
            Some((device, known)) => known.attributes(device),
            None => self.objects(),
        };
        let mut all: Vec<String> = Vec::new();
        for below in objects.keys().filter_map(|path| path.strip_prefix(start.as_str())) {
            let name = below.split('/').next().unwrap_or_default();
            if !name.is_empty() && all.last().is_none_or(|last| last != name) {
                all.push(name.to_owned());
            }
        }
        all.dedup();
        all
    }
}

impl Body {
    /// Writes it into a message.
    pub(in crate::ble) fn build(self, builder: zbus::message::Builder<'_>) -> zbus::Result<Message> {
        fn built<T: serde::Serialize + DynamicType>(
            builder: zbus::message::Builder<'_>,
            body: &T,
        ) -> zbus::Result<Message> {
            builder.build(body)
        }
        match self {
            Self::Nothing => built(builder, &()),
            Self::Bytes(bytes) => built(builder, &bytes),
            Self::Text(text) => built(builder, &text),
            Self::Texts(texts) => built(builder, &texts),
            Self::Variant(value) => built(builder, &zbus::Variant::from(value)),
            Self::Props(props) => built(builder, &props),
            Self::Objects(objects) => {
                let path = |path: String| zbus::OwnedObjectPath::try_from(path);
                let all: Result<std::collections::HashMap<_, _>, _> =
                    objects.into_iter().map(|(at, interfaces)| Ok((path(at)?, interfaces))).collect();
                built(builder, &all.map_err(|error: zbus::Error| error)?)
            }
        }
    }
}
