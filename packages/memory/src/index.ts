export * as Faults from "./Faults.js"
export * as MemoryBroker from "./MemoryBroker.js"
export * as Simulation from "./Simulation.js"
