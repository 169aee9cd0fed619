# The thread's state: the tape in progress and a free list of active scalars, in thread-local storage.

cdef extern from *:
    bint likely(bint condition) noexcept nogil     # Cython's own macros
    bint unlikely(bint condition) noexcept nogil


cdef extern from *:
    """
    #if defined(__linux__) && defined(__GLIBC__)
      /* The default model calls a function for every access: a quarter of the cost of an operation. */
      #define FASTAD_THREAD_LOCAL static __thread __attribute__((tls_model("initial-exec")))
    #elif defined(_MSC_VER)
      #define FASTAD_THREAD_LOCAL static __declspec(thread)
    #else
      #define FASTAD_THREAD_LOCAL static __thread
    #endif
    #if defined(_MSC_VER)
      #include <intrin.h>
      #define FASTAD_NEXT_EPOCH() ((uint64_t)_InterlockedIncrement64((volatile __int64 *)&fastad_epoch))
    #else
      #define FASTAD_NEXT_EPOCH() __atomic_add_fetch(&fastad_epoch, 1, __ATOMIC_RELAXED)
    #endif
    #if defined(Py_GIL_DISABLED) || defined(Py_REF_DEBUG) || defined(Py_TRACE_REFS)
      #define FASTAD_REVIVE(o) _Py_NewReference((PyObject *)(o))
    #else
      #define FASTAD_REVIVE(o) Py_SET_REFCNT((PyObject *)(o), 1)
    #endif

    static uint64_t fastad_epoch = 0;

    /* What a thread without a trace records to: epoch 0, no room; never written. Larger than CTape. */
    static long long fastad_idle[32];

    typedef struct { void *tape; void *free; int64_t room; } FastadThread;
    FASTAD_THREAD_LOCAL FastadThread fastad_thread = {fastad_idle, NULL, 0};

    /* The layout of Active; while on the free list, `epoch` is the link to the next. */
    typedef struct { PyObject_HEAD uint64_t epoch; int32_t slot; } FastadActive;

    /* A scalar from the free list, which must not be empty. */
    static inline PyObject *fastad_reuse_active(uint64_t epoch, int32_t slot) {
        FastadActive *o = (FastadActive *)fastad_thread.free;
        fastad_thread.free = (void *)(uintptr_t)o->epoch;
        fastad_thread.room++;
        FASTAD_REVIVE(o);
        o->epoch = epoch;
        o->slot = slot;
        return (PyObject *)o;
    }

    static inline PyObject *fastad_new_active(PyTypeObject *type, uint64_t epoch, int32_t slot) {
        FastadActive *o;
        if (fastad_thread.free != NULL) return fastad_reuse_active(epoch, slot);
        o = (FastadActive *)PyObject_Malloc(sizeof(FastadActive));
        if (o == NULL) return PyErr_NoMemory();
        PyObject_Init((PyObject *)o, type);
        o->epoch = epoch;
        o->slot = slot;
        return (PyObject *)o;
    }

    static void fastad_free_active(PyObject *self) {
        PyTypeObject *type = Py_TYPE(self);
        PyObject_Free(self);
        if (PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) Py_DECREF(type);
    }

    static void fastad_dealloc_active(PyObject *self) {
        if (fastad_thread.room > 0) {
            fastad_thread.room--;
            ((FastadActive *)self)->epoch = (uint64_t)(uintptr_t)fastad_thread.free;
            fastad_thread.free = self;
        } else {
            fastad_free_active(self);
        }
    }

    /* Empties the thread's free list and sets how many scalars it may hold from now on. */
    static void fastad_set_room(int64_t room) {
        FastadActive *o = (FastadActive *)fastad_thread.free;
        while (o != NULL) {
            FastadActive *next = (FastadActive *)(uintptr_t)o->epoch;
            fastad_free_active((PyObject *)o);
            o = next;
        }
        fastad_thread.free = NULL;
        fastad_thread.room = room;
    }
    """
    ctypedef struct FastadThread:
        void* tape
        void* free
    FastadThread fastad_thread
    long long[32] fastad_idle
    uint64_t FASTAD_NEXT_EPOCH() noexcept nogil
    ctypedef struct FastadActive:
        uint64_t epoch
        int32_t slot
    PyObject* fastad_reuse_active(uint64_t epoch, int32_t slot) noexcept
    object fastad_new_active(PyTypeObject* type, uint64_t epoch, int32_t slot)
    void fastad_dealloc_active(PyObject* self) noexcept
    void fastad_set_room(int64_t room) noexcept
    ctypedef struct PyNumberMethods:
        PyObject* (*nb_add)(PyObject*, PyObject*) noexcept
        PyObject* (*nb_subtract)(PyObject*, PyObject*) noexcept
        PyObject* (*nb_multiply)(PyObject*, PyObject*) noexcept
        PyObject* (*nb_true_divide)(PyObject*, PyObject*) noexcept
    ctypedef struct PySequenceMethods:
        void* sq_item
    ctypedef struct PyTypeObject:
        void (*tp_dealloc)(PyObject*) noexcept
        PySequenceMethods* tp_as_sequence
        PyNumberMethods* tp_as_number
    PyTypeObject PyFloat_Type
    PyTypeObject* Py_TYPE(PyObject* x) noexcept
    int PyFloat_CheckExact(object x) noexcept
    int PyLong_CheckExact(object x) noexcept
    PyObject* PyThreadState_GetDict() noexcept
