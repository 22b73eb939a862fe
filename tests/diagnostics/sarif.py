"""The whole schema of SARIF 2.1.0 as OASIS gives it, in the form of schemastore.org (sarif-2.1.0-rtm.5), unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema

SARIF = jsonschema.Draft4Validator(json.loads(Path(__file__).with_name("sarif-2.1.0.json").read_text(encoding="utf-8")))
