import { databaseDown, databaseSlow } from "./database-faults.ts";
import type { NamedFault } from "./fault.ts";
import {
  allSleep,
  cancelAtOnce,
  cancelPlan,
  copied,
  ownerComes,
  ownerUses,
  powerLoss,
  sleep,
  sleepOverWork,
} from "./machine-faults.ts";
import {
  breakConnections,
  comesAndGoes,
  cutOffOverWork,
  detach,
  fleetCutOff,
  isolate,
  partition,
  sentToNobody,
} from "./network-faults.ts";
import { cancelTask, cordon, drain, drainOverWork, holdPlan, holdQueue, retryPlan } from "./operator-faults.ts";
import {
  clockJump,
  kill,
  killAtStatement,
  killOwing,
  restart,
  standStill,
  standStillAtStatement,
  standStillWithRoom,
} from "./process-faults.ts";

/** What happens at one moment. Some are listed more than once: they are likelier. */
export const disturbances: readonly NamedFault[] = [
  ["kill", kill],
  ["kill", kill],
  ["kill at a statement", killAtStatement, "hard"],
  ["stand still at a statement", standStillAtStatement, "hard"],
  ["stand still at a statement", standStillAtStatement, "hard"],
  ["stand still at a statement", standStillAtStatement, "hard"],
  ["kill at a statement", killAtStatement, "hard"],
  ["kill at a statement", killAtStatement, "hard"],
  ["kill, owing", killOwing, "hard"],
  ["stand still with room", standStillWithRoom, "hard"],
  ["stand still with room", standStillWithRoom, "hard"],
  ["restart", restart],
  ["stand still", standStill],
  ["stand still", standStill],
  ["power loss", powerLoss],
  ["sleep", sleep],
  ["sleep over work", sleepOverWork],
  ["sleep over work", sleepOverWork],
  ["fleet cut off", fleetCutOff],
  ["partition", partition],
  ["isolate", isolate],
  ["detach", detach],
  ["sent to nobody", sentToNobody, "hard"],
  ["break connections", breakConnections],
  ["database down", databaseDown, "hard"],
  ["database slow", databaseSlow, "hard"],
  ["clock jump", clockJump],
  ["owner comes", ownerComes],
  ["cancel", cancelPlan],
  ["cancel", cancelPlan],
];

/** What happens in livelier worlds besides. */
export const livelyDisturbances: readonly NamedFault[] = [
  ...disturbances,
  ["hold plan", holdPlan],
  ["hold plan", holdPlan],
  ["hold plan", holdPlan],
  ["hold queue", holdQueue],
  ["hold queue", holdQueue],
  ["cordon", cordon],
  ["drain", drain],
  ["drain", drain],
  ["cancel task", cancelTask],
  ["cancel task", cancelTask],
  ["retry plan", retryPlan],
  ["retry plan", retryPlan],
  ["owner uses", ownerUses],
  ["owner uses", ownerUses],
  ["owner uses", ownerUses],
  ["cut off over work", cutOffOverWork],
  ["cut off over work", cutOffOverWork],
  ["machine copied", copied],
  ["machine copied", copied],
  ["machine copied", copied],
];

/** What happens in richer ones besides. */
export const richerDisturbances: readonly NamedFault[] = [
  ...livelyDisturbances,
  ["comes and goes", comesAndGoes],
  ["comes and goes", comesAndGoes],
  ["drain over work", drainOverWork],
  ["drain over work", drainOverWork],
  ["all sleep, and work comes", allSleep],
  ["all sleep, and work comes", allSleep],
  ["cancelled at once", cancelAtOnce, "hard"],
  ["cancelled at once", cancelAtOnce, "hard"],
];
