"""Machine code of loops: Numba makes it, a file keeps it, and LLVM's loader alone brings it back.

To import Numba and have it read its own cache takes 0.8 s of a processor, to import llvmlite and load our files 0.07 s.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, TypeAlias

import llvmlite.binding as llvm
import numpy as np

MachineCode: TypeAlias = Callable[..., None]

#: Names a folder for the files. Numba has it too, for files of its own.
CACHE: Final = "NUMBA_CACHE_DIR"
_DIGEST_BYTES: Final = 16
_BOOL: Final = np.dtype(np.bool_).str
_INTEGER: Final = np.dtype(np.int64).str
_LOCK: Final = threading.Lock()
_ENGINES: Final[list[llvm.ExecutionEngine]] = []  # code is unloaded with its engine


def types_of(arguments: Sequence[Any]) -> tuple[str, ...]:
    """Name the types that machine code is made for.

    ``<i8`` is an integer of eight bytes, ``<i8[2C]`` an array of two dimensions whose elements are one after the other
    in C's order, ``<i8[2A]`` one whose elements lie in any way.
    """
    return tuple(map(_type_of, arguments))


def machine_code(loop: FunctionType, types: tuple[str, ...], announce: Callable[[], None] | None) -> MachineCode:
    """Return a loop as machine code for these types, from a file if there is one; else it is made, after ``announce``.

    The loop returns nothing, calls nothing but built-in functions, and neither makes arrays nor raises.
    """
    with _LOCK:
        facts = _facts(loop)
        name = f"{loop.__module__.rpartition('.')[2]}.{loop.__name__}-{_digest(_machine(), *types).hex()}.o"
        made = _read(loop, name, facts)
        if made is None:
            if announce is not None:
                announce()
            made = _made(loop, types)
            _keep(loop, name, _digest(facts, made) + made)
        return _loaded(made, types)


def _type_of(argument: Any) -> str:
    if not isinstance(argument, np.ndarray):
        return _BOOL if isinstance(argument, bool | np.bool_) else _INTEGER
    assert argument.flags.aligned  # arrays made of the bytes of files could be anything else
    return f"{argument.dtype.str}[{argument.ndim}{'C' if argument.flags.c_contiguous else 'A'}]"


# --- files ---------------------------------------------------------------------------------------------------


def _facts(loop: FunctionType) -> str:
    """Write down what machine code depends on besides its types: the code of the loop and constants of its module."""
    code: CodeType = loop.__code__
    used = {name: loop.__globals__[name] for name in code.co_names if name in loop.__globals__}
    constants = {name: value for name, value in used.items() if not (callable(value) or isinstance(value, ModuleType))}
    return repr((code.co_code, code.co_consts, code.co_names, code.co_varnames, constants))


@cache
def _machine() -> str:
    """Name the processor and the versions of what compiles."""
    features = llvm.get_host_cpu_features().flatten()
    return repr((llvm.get_process_triple(), llvm.get_host_cpu_name(), features, version("numba"), version("llvmlite")))


def _digest(*parts: str | bytes) -> bytes:
    made = blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        made.update(len(content).to_bytes(8, "little") + content)
    return made.digest()


def _folders(loop: FunctionType) -> Iterator[Path]:
    """List the folders where the file can be: the one that is named; or beside the source, and the user's own."""
    if named := os.environ.get(CACHE):
        yield Path(named)
        return
    yield Path(loop.__code__.co_filename).with_name("__pycache__")
    try:
        yield Path.home() / ".cache" / "uphours"
    except RuntimeError:  # this user has no home
        return


def _read(loop: FunctionType, name: str, facts: str) -> bytes | None:
    for folder in _folders(loop):
        try:
            content = (folder / name).read_bytes()
        except OSError:
            continue
        # Of another version of the loop, or damaged: damaged machine code would end the process.
        if content[:_DIGEST_BYTES] == _digest(facts, content[_DIGEST_BYTES:]):
            return content[_DIGEST_BYTES:]
    return None


def _keep(loop: FunctionType, name: str, content: bytes) -> None:
    """Write a file, whole, in the first folder that can be written; else every process makes the code for itself."""
    for folder in _folders(loop):
        temporary = folder / f"{name}.{os.getpid()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(content)
                temporary.replace(folder / name)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError:
            continue
        return


# --- LLVM ----------------------------------------------------------------------------------------------------


def _target_machine() -> llvm.TargetMachine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, jit=True
    )


def _made(loop: FunctionType, types: Sequence[str]) -> bytes:
    """Return an object file with one function, which is called ``loop``."""
    import numba

    def numba_type(name: str) -> Any:
        element, _, dimensions = name.partition("[")
        scalar = numba.from_dtype(np.dtype(element))
        layout: Any = dimensions[-2:-1]
        return numba.types.Array(scalar, int(dimensions[:-2]), layout) if dimensions else scalar

    signature = tuple(map(numba_type, types))
    # No wrappers and no counting of references: loops are called from here alone, and make no arrays.
    bare: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}
    compiled = numba.njit(error_model="numpy", **bare)(loop)
    compiled.compile(signature)
    module = llvm.parse_assembly(compiled.inspect_llvm(signature))
    (function,) = (function for function in module.functions if not function.is_declaration)
    function.name = "loop"
    calls = [function.name for function in module.functions if not function.name.startswith(("loop", "llvm."))]
    if calls:
        raise TypeError(f"{loop.__qualname__} calls {calls[0]}; a loop may call nothing")
    return bytes(_target_machine().emit_object(module))


def _loaded(made: bytes, types: Sequence[str]) -> MachineCode:
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(made))
    engine.finalize_object()
    _ENGINES.append(engine)
    parameters = [part for name in types for part in _parameters(name)]
    # Numba's calling convention: places for a result and an exception, of which loops have none; then each argument.
    function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *parameters)(
        engine.get_function_address("loop")
    )

    def call(*arguments: Any) -> None:
        result, raised = ctypes.c_void_p(), ctypes.c_void_p()
        given = [part for argument in arguments for part in _parts(argument)]
        if function(ctypes.addressof(result), ctypes.addressof(raised), *given):
            raise RuntimeError("a loop failed in machine code")

    return call


def _parameters(name: str) -> list[Any]:
    """Return how Numba passes an argument: an array as owner, parent, sizes, address, shape and strides."""
    element, _, dimensions = name.partition("[")
    if not dimensions:
        return [ctypes.c_uint8 if element == _BOOL else ctypes.c_int64]
    number = ctypes.c_int64
    return [ctypes.c_void_p, ctypes.c_void_p, number, number, ctypes.c_void_p, *[number] * (2 * int(dimensions[:-2]))]


def _parts(argument: Any) -> list[Any]:
    if not isinstance(argument, np.ndarray):
        return [int(argument)]
    address = argument.ctypes.data
    return [None, None, argument.size, argument.itemsize, address, *argument.shape, *argument.strides]
