/* A system call behind a return whose flags are those of an adjustment of the stack pointer: it puts them into r11. x86-64. */
#include <stdio.h>
long asks(void);
__asm__(".text\n"
        "adjusts: push %rbx\n\tsub $24, %rsp\n\tmov $3, %ecx\n"
        "1: sub $1, %ecx\n\tjnz 1b\n\tcall nothing\n\tadd $24, %rsp\n\tpop %rbx\n\tret\n"
        "nothing: .rept 30\n\tnop\n\t.endr\n\tret\n"
        "asks: call adjusts\n\tmov $110, %eax\n\tsyscall\n\tcmp %eax, %eax\n\tret\n");
int main(void) {
  int asked = 0;
  for (int k = 0; k < 30000; k++) asked += asks() > 0;
  printf("asked %d\n", asked);
}
