import { describe, expect, it } from "vitest";
import { unknownSettings } from "./unknown-settings.ts";

describe("unknownSettings", () => {
  it("names what is misspelt, and what was probably meant", () => {
    expect(
      unknownSettings({
        HEADROOM_OFFLINE_GRACE_SECOND: "5",
        HEADROOM_REGSITRY_GRPC_ADDR: "127.0.0.1:1",
        headroom_token_file: "/x",
        HEADROOM_QUITE_ANOTHER_THING: "1",
      }),
    ).toEqual([
      "HEADROOM_OFFLINE_GRACE_SECOND is no setting of Headroom and changes nothing; did you mean HEADROOM_OFFLINE_GRACE_SECONDS?",
      "HEADROOM_QUITE_ANOTHER_THING is no setting of Headroom and changes nothing",
      "HEADROOM_REGSITRY_GRPC_ADDR is no setting of Headroom and changes nothing; did you mean HEADROOM_REGISTRY_GRPC_ADDR?",
      "headroom_token_file is no setting of Headroom and changes nothing; did you mean HEADROOM_TOKEN_FILE?",
    ]);
  });

  it("names what is nearly a setting without our prefix, and nothing else of other programs", () => {
    expect(
      unknownSettings({
        PAUSE_CAPACITY_THRESHOLD: "0.5",
        PAUSE_CAPACITY_THRESHHOLD_PERCENT: "0.5",
        PAUSE_THE_MUSIC: "1",
        DATABASE_URI: "x",
      }),
    ).toEqual([
      "PAUSE_CAPACITY_THRESHHOLD_PERCENT is no setting of Headroom and changes nothing; did you mean PAUSE_CAPACITY_THRESHOLD_PERCENT?",
      "PAUSE_CAPACITY_THRESHOLD is no setting of Headroom and changes nothing; did you mean PAUSE_CAPACITY_THRESHOLD_PERCENT?",
    ]);
  });

  it("knows the settings of every part, what a task is given, and what tests use", () => {
    const names = [
      "HEADROOM_REGISTRY_GRPC_ADDR",
      "HEADROOM_ORCHESTRATOR_HTTP_ADDR",
      "HEADROOM_AGENT_POOL",
      "HEADROOM_REGISTRY_ADDR",
      "HEADROOM_TLS_CLIENT_CERT_FILE",
      "HEADROOM_DATA_DIR",
      "HEADROOM_TASK_ID",
      "HEADROOM_TEST_SEED",
      "PATH",
    ];
    expect(unknownSettings(Object.fromEntries(names.map((name) => [name, "x"])))).toEqual([]);
    expect(unknownSettings({ HEADROOM_UNSET: undefined })).toEqual([]);
  });
});
