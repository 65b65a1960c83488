"""The way to the payment system: queue adapters, sender, receiver, simulation client, and the rail emulator."""
