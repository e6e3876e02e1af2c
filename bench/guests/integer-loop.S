# One integer loop of 5 instructions, run N times (argv[1], default 100,000,000), then exit(0).
# gcc -nostdlib -static -o integer-loop integer-loop.S
    .globl _start
_start:
    mov $100000000, %rcx
    cmpq $2, (%rsp)
    jb 2f
    mov 16(%rsp), %rsi
    xor %ecx, %ecx
1:  movzbl (%rsi), %eax
    inc %rsi
    sub $48, %eax
    jb 2f
    imul $10, %rcx, %rcx
    add %rax, %rcx
    jmp 1b
2:  xor %eax, %eax
3:  add %rcx, %rax
    lea 3(%rax), %rdx
    xor %rdx, %rax
    sub $1, %rcx
    jnz 3b
    mov $60, %eax
    xor %edi, %edi
    syscall
