"""What is a method, and what do all parameters have in common? Unknown keys are refused, naming the key."""

from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

Id = Annotated[str, Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Labels = Annotated[dict[Name, Annotated[str, Field(max_length=1000)]], Field(max_length=50)]
RequestId = Annotated[str, Field(min_length=1, max_length=200)]


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Empty(Params):
    pass


class Page(Params):
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class Method(NamedTuple):
    params: type[Params]
    says: str
    changes: bool = False
