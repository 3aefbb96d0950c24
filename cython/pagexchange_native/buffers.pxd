"""Arrays as C pointers: what a typed memoryview checks, without its utility code.

That code (a class of its own, copies, slices) costs the C compiler 4 to 5 s in each module that has one memoryview; here
whole C-contiguous arrays are read and written, and no more. Python's own memoryview holds the buffer instead: what
`items` points at stays where it is as long as the view that `view_of` returned lives.

    cdef object view = view_of(pairs, "pairs", INT64, 2)
    cdef const int64_t *pair = <const int64_t *>items(view)
    cdef Py_ssize_t n = extent(view, 0)
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_IsContiguous, PyBuffer_Release, PyObject_GetBuffer
from cpython.memoryview cimport PyMemoryView_FromObject, PyMemoryView_GET_BUFFER

cdef enum ItemType:  # bytes of an item, negative when it has a sign
    INT32 = -4
    INT64 = -8
    UINT8 = 1
    UINT32 = 4
    UINT64 = 8


cdef inline bint has_items(const Py_buffer *buffer, ItemType item) noexcept:
    """Whether a buffer's items are integers of this size and sign in the machine's byte order, as `struct` spells them."""
    cdef const char *code = buffer.format
    if code[0] == c'@' or code[0] == c'=':
        code += 1
    if buffer.itemsize != (-item if item < 0 else item) or code[0] == 0 or code[1] != 0:
        return False
    if item < 0:
        return code[0] in (c'i', c'l', c'q')
    return code[0] in (c'B', c'I', c'L', c'Q')


cdef inline object view_of(object array, str name, ItemType item, int ndim, bint writable=False):
    """Return a memoryview of an array that was handed in.

    `name` is the parameter's, for the message of ValueError (shape, dtype, layout); TypeError: it has no buffer at all.
    """
    view = PyMemoryView_FromObject(array)
    cdef Py_buffer *buffer = PyMemoryView_GET_BUFFER(view)
    problem = None
    if not has_items(buffer, item):
        problem = f"got items of {getattr(array, 'dtype', view.format)}"
    elif buffer.ndim != ndim:
        problem = f"got {buffer.ndim}"
    elif not PyBuffer_IsContiguous(buffer, c'C'):
        problem = "it is not C-contiguous"
    elif <size_t>buffer.buf % <size_t>buffer.itemsize:
        problem = f"it starts at no multiple of {buffer.itemsize} bytes"
    elif writable and buffer.readonly:
        problem = "it is read-only"
    if problem is not None:
        dtype = f"{'int' if item < 0 else 'uint'}{8 * abs(<int>item)}"
        raise ValueError(f"{name}: want a {'writable, ' if writable else ''}C-contiguous {dtype} array of {ndim} "
                         f"dimension{'s' if ndim != 1 else ''}; {problem}")
    return view


cdef inline void *items(object view) noexcept:
    """First item of what `view_of` returned."""
    return PyMemoryView_GET_BUFFER(view).buf


cdef inline Py_ssize_t extent(object view, int axis) noexcept:
    return PyMemoryView_GET_BUFFER(view).shape[axis]


cdef inline void *address(object array) except? NULL:
    """First item of an array (or bytearray) that the caller made itself, of the type that it made, and holds meanwhile.

    Nothing is checked but contiguity (BufferError), and the buffer is not held: no other code may be able to resize it.
    """
    cdef Py_buffer buffer
    PyObject_GetBuffer(array, &buffer, PyBUF_SIMPLE)
    PyBuffer_Release(&buffer)
    return buffer.buf
