-- Traces, FFI calls and callbacks of LuaJIT.
local ffi, bit = require 'ffi', require 'bit'
local h = 0
for i = 1, 200000 do h = bit.tobit(bit.rol(h, 5) + i) end
print(h)
local x, v = 0, 0.1
for i = 1, 50000 do v = v - x * 0.001; x = x + v * 0.001 end
print(string.format('%.14g %.14g', x, v))
local words = {}
for w in ('the quick brown fox jumps over the lazy dog '):rep(100):gmatch('%a+') do words[w] = (words[w] or 0) + 1 end
print(words.the, words.fox)
local step = coroutine.wrap(function() for i = 1, 5000 do coroutine.yield(i) end end)
local sum = 0
for i = 1, 5000 do sum = sum + step() end
print(sum)
ffi.cdef 'void qsort(void*, size_t, size_t, int (*)(const int*, const int*)); size_t strlen(const char*);'
local a = ffi.new('int[6]', 5, 3, 9, 1, 7, 2)
ffi.C.qsort(a, 6, 4, function(p, q) return p[0] - q[0] end)
print(a[0], a[5], tonumber(ffi.C.strlen('five!')))
for i = 1, 100 do assert(not pcall(function() if i % 2 == 0 then error({}) end local z; return z.x end)) end
local f = {}
for i = 1, 60 do f[i] = assert(loadstring('local s = 0 for i = 1, 200 do s = s + ' .. i .. ' end return s')) end
local q = 0
for i = 1, 60 do q = q + f[i]() end
print(q, (jit.status()))
