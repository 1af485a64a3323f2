"""What reading or writing a checkpoint can raise.

Every message names the file, says what was found and what was expected, and ends with what to do.
"""

import pickle


class CheckpointError(RuntimeError):
    """A checkpoint is damaged, in an unknown format, or holds something that cannot be stored."""


class RefusedClassError(CheckpointError, pickle.UnpicklingError):
    """A pickle names a class or function outside the few that a state dict needs.

    Nothing of the file has run when this is raised: names are looked up in lazygrad's own table and
    are never imported.
    """

    def __init__(self, source: str, module: str, name: str) -> None:
        self.refused = f"{module}.{name}"
        super().__init__(
            f"{source}: the file names {self.refused}, which lazygrad refuses to load. It reads tensors and "
            f"plain containers (dict, OrderedDict, list, tuple, set, str, bytes, numbers, dtypes) and runs "
            f"nothing that a file asks for. If you trust the file, open it once in PyTorch and save its "
            f"tensors alone: torch.save(torch.load(file, weights_only=False).state_dict(), new_file)"
        )
