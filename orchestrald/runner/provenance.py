"""Which key of the operator's configuration says what a plugin may touch?"""

from dataclasses import dataclass

from orchestrald.config import Config, Grant

DEFAULT = "the default"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the words of one plugin's `Confinement` come from. A word is the name of one of its fields."""

    config: Config
    plugin: str

    def key(self, word: str) -> str:
        """The key that gives the word; `DEFAULT` where nobody wrote one."""
        if word in self._grant.model_fields_set:
            return self.grant(word)
        return f"sandbox.{word}" if word in self.config.sandbox.model_fields_set else DEFAULT

    def limit(self, name: str) -> str:
        """The same for one of the sandbox's limits, by its name there (`memory_bytes`)."""
        if name in self._grant.limits.given():
            return self.grant("limits")
        return "sandbox.limits" if name in self.config.sandbox.limits.given() else DEFAULT

    def setting(self, word: str) -> str:
        """The plugin's own setting behind a word that differs from the operator's. The daemon knows no plugin's
        settings; but whoever has one for a word of the sandbox's ends its name in that word (`sandbox_mode`)."""
        ours = f"plugins.settings.{self.plugin}"
        known = self.config.plugins.settings.get(self.plugin, {})
        return next((f"{ours}.{name}" for name in known if name.endswith(word)), ours)

    def grant(self, word: str) -> str:
        """The key with which the operator can say otherwise, for this plugin alone."""
        return f"plugins.grants.{self.plugin}.{word}"

    @property
    def _grant(self) -> Grant:
        return self.config.plugins.grants.get(self.plugin, Grant())
