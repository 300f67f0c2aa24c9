export * from "./machine-state.ts";
export { placementShape, type PlacementShape, vramOf } from "./shape.ts";
export * from "./task-mix.ts";
export * from "./rules.ts";
export { StrandedEstimate, type StrandedWeights } from "./stranded.ts";
export { PlacementEngine, type Placed } from "./engine.ts";
export type { Admits } from "./shape-ranking.ts";
export * from "./simulate.ts";
