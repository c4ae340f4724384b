"""Lines made by hand, and a maker of lines for the shipped ontology."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from triplelake.config import AnswerSettings
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import ModelProfile
from triplelake.prompt.prompts import load_prompts
from triplelake.prompt.render import Renderer
from triplelake.training.lines import LineMaker

# Test modules have unique names instead of packages, so what they share is found by its folder.
sys.path.insert(0, str(Path(__file__).parent))

from lines_by_hand import PROFILE


@pytest.fixture
def maker() -> Callable[..., LineMaker]:
    def make(ontology: str = "ontologies/general.yaml", profile: ModelProfile = PROFILE) -> LineMaker:
        read = load_ontology(ontology)
        renderer = Renderer(load_prompts("prompts"), read, profile)
        return LineMaker(renderer, read, AnswerSettings(), ("<|end|>",))

    return make
