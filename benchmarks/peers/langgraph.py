"""LangGraph with its SQLite checkpointer: a graph of nodes, a checkpoint per superstep, by its defaults."""

import asyncio
import itertools
import operator
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from benchmarks.peers import contest


class State(TypedDict):
    done: Annotated[int, operator.add]


class LangGraph:
    def __init__(self, saver: AsyncSqliteSaver, held: bool) -> None:
        self._saver = saver
        self._held = held
        self._names = itertools.count()
        self._in_a_row = cache(self._chain_of)
        self._side_by_side = cache(self._fan_of)

    async def chain(self, length: int) -> None:
        await self._run(self._in_a_row(length), length)

    async def fan_out(self, width: int) -> None:
        await self._run(self._side_by_side(width), width)

    async def many(self, count: int, length: int) -> None:
        graph = self._in_a_row(length)
        await asyncio.gather(*(self._run(graph, length) for _ in range(count)))

    async def leave(self, count: int) -> None:
        graph = self._in_a_row(2)
        held = [asyncio.ensure_future(self._run(graph, 2)) for _ in range(count)]
        while len(await self._threads()) < count:
            await asyncio.sleep(0.05)
        assert not any(one.done() for one in held)

    async def recover(self, count: int) -> None:
        """It has no list of its own of what is unfinished: the application finds it, and invokes each again."""
        names = await self._threads()
        assert len(names) == count
        graph = self._in_a_row(2)
        await asyncio.gather(*(graph.ainvoke(None, _settings(name)) for name in names))

    async def _threads(self) -> list[str]:
        async with self._saver.lock, self._saver.conn.execute("SELECT DISTINCT thread_id FROM checkpoints") as found:
            return [name async for (name,) in found]

    async def _run(self, graph: Any, steps: int) -> None:
        ended = await graph.ainvoke({"done": 0}, _settings(str(next(self._names))))
        assert ended["done"] == steps

    async def _step(self, _state: State) -> State:
        if self._held:
            await asyncio.Event().wait()
        return {"done": 1}

    def _chain_of(self, length: int) -> Any:
        graph = StateGraph(State)
        names = [f"s{i}" for i in range(length)]
        for name in names:
            graph.add_node(name, self._step)
        for before, after in itertools.pairwise([START, *names, END]):
            graph.add_edge(before, after)
        return graph.compile(checkpointer=self._saver)

    def _fan_of(self, width: int) -> Any:
        graph = StateGraph(State)
        graph.add_node("step", self._step)
        graph.add_conditional_edges(START, lambda _: [Send("step", {"done": 0}) for _ in range(width)], ["step"])
        graph.add_edge("step", END)
        return graph.compile(checkpointer=self._saver)


def _settings(thread: str) -> Any:
    return {"configurable": {"thread_id": thread}, "recursion_limit": 10_000}


@asynccontextmanager
async def langgraph(folder: Path, held: bool) -> AsyncIterator[LangGraph]:
    async with AsyncSqliteSaver.from_conn_string(str(folder / "langgraph.sqlite")) as saver:
        await saver.setup()
        yield LangGraph(saver, held)


if __name__ == "__main__":
    contest.main(langgraph)
