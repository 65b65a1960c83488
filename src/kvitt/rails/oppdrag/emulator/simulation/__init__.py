"""The rail's simulation as the emulator plays it: a SOAP service over what it has booked and paid, and the tokens that it wants."""

from kvitt.rails.oppdrag.emulator.simulation.service import ServiceAnswer, ServiceRequest, SimulationService

__all__ = ["ServiceAnswer", "ServiceRequest", "SimulationService"]
