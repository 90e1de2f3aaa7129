//! What a demo simulates: Modbus meters, made from their mapping, CoAP things, and a USP Service.

use std::net::{Ipv4Addr, SocketAddr};

use usp_mapping::diagnostic::{SourceFile, render};
use usp_mapping::draft::MappingDraft;
use usp_mapping::library;
use usp_simulators::coap::{CoapDevice, CoapServer, oma};
use usp_simulators::modbus::{ModbusDevice, ModbusServer};
use usp_simulators::service::{Service, ServiceConfig, ServiceHandle};

use super::place::Place;
use crate::cli::Failure;

/// The mapping of the meters, in the library inside the program.
const MAPPING: &str = "modbus/usp-demo-meter.yaml";

/// Units on the simulated bus; each has a world of its own.
const UNITS: [u8; 2] = [1, 2];

/// Endpoint ID of the sample Service.
const SERVICE: &str = "proto::demo-thermostat";

/// The running simulators.
pub(super) struct Things {
    meters: ModbusServer,
    light: CoapServer,
    climate: CoapServer,
    service: Option<ServiceHandle>,
}

impl Things {
    /// Starts the meters and the CoAP things, each on a free port.
    pub(super) async fn start() -> Result<Self, Failure> {
        let draft = meter()?;
        let device = |unit| match ModbusDevice::from_draft(&draft, u64::from(unit)) {
            Ok(device) => Ok((unit, device)),
            Err(error) => Err(Failure::failed(format!("{MAPPING}: {error}"))),
        };
        let units = UNITS.into_iter().map(device).collect::<Result<Vec<_>, _>>()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let meters = ModbusServer::bind(address, units).await;
        let meters = meters.map_err(|error| Failure::failed(format!("the simulated meters: {error}")))?;
        let light = coap(oma::light(3, "Ceiling"), "light").await?;
        let climate = coap(oma::temperature(4), "climate sensor").await?;
        Ok(Self { meters, light, climate, service: None })
    }

    /// Where the meters are.
    pub(super) fn meters(&self) -> SocketAddr {
        self.meters.local_addr()
    }

    /// Where the CoAP light and the CoAP climate sensor are.
    pub(super) fn coap(&self) -> [SocketAddr; 2] {
        [self.light.local_addr(), self.climate.local_addr()]
    }

    /// Starts the Service, anew if it runs: a hub that is rebooted starts its Services too.
    pub(super) async fn start_service(&mut self, place: &Place) {
        self.stop_service().await;
        self.service = Some(Service::spawn(ServiceConfig::new(SERVICE, &place.controller_path())));
    }

    async fn stop_service(&mut self) {
        if let Some(service) = self.service.take() {
            service.stop().await;
        }
    }

    pub(super) async fn stop(mut self) {
        self.stop_service().await;
        self.meters.stop().await;
        self.light.stop().await;
        self.climate.stop().await;
    }
}

async fn coap(device: CoapDevice, what: &str) -> Result<CoapServer, Failure> {
    let bound = CoapServer::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), device, None).await;
    bound.map_err(|error| Failure::failed(format!("the simulated {what}: {error}")))
}

fn meter() -> Result<MappingDraft, Failure> {
    let text = library::builtin().iter().find(|(name, _)| *name == MAPPING).map(|(_, text)| *text);
    let text = text.ok_or_else(|| Failure::failed(format!("{MAPPING} is not in this program")))?;
    let (draft, problems) = MappingDraft::parse(&SourceFile::new(MAPPING, text));
    draft.ok_or_else(|| Failure::failed(render(&problems, false)))
}
