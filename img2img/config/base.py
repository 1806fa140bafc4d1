"""Base classes for the sections of a configuration."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from img2img.runtime.files import NO_ADDRESS, is_address


class Section(BaseModel):
    """A group of keys. Unknown keys are errors, and checked values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Component(Section):
    """A part chosen by name; every other key is an argument of that part."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @model_validator(mode="before")
    @classmethod
    def _not_only_a_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(f"write it as {{name: {value}}}, or set its .name")
        return value

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


def _no_address(value: object) -> object:
    if is_address(str(value)):
        raise ValueError(NO_ADDRESS)
    return value


LocalPath = Annotated[Path, BeforeValidator(_no_address)]
