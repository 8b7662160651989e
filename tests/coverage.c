/** Linked into the coverage build alone, as what replaces _exit (--wrap): a process that reads for another ends by it,
 * and what gcov counted there would be lost. */
_Noreturn void __real__exit(int code);
_Noreturn void __wrap__exit(int code);
void __gcov_dump(void);

void __wrap__exit(int code)
{
    __gcov_dump();
    __real__exit(code);
}
