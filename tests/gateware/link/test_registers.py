from random import Random

from pendula.contract.registers import REGISTERS, Access, RegisterName
from pendula_gateware.link.registers import Registers
from streams import simulate

MASK = (1 << 32) - 1


def kept(register, value):
    """What a register makes of a 32-bit value, as read back."""
    value &= (1 << register.width) - 1
    if register.signed and value >> (register.width - 1):
        value -= 1 << register.width
    return value & MASK


def test_every_address():
    dut = Registers()
    by_address = {register.name.value: register for register in REGISTERS}

    async def bench(ctx):
        ctx.set(dut.saturations, 1001)
        ctx.set(dut.cycles, 1002)
        ctx.set(dut.frames_dropped, 1003)
        ctx.set(dut.jitter_status, 9)
        ctx.set(dut.jitter_bits, 1005)
        ctx.set(dut.en, 1)
        read_only = {"SATURATIONS": 1001, "CYCLES": 1002, "FRAMES_DROPPED": 1003,
                     "JITTER_STATUS": 9, "JITTER_BITS": 1005}
        for address in range(256):
            ctx.set(dut.address, address)
            await ctx.tick().repeat(dut.latency)
            register = by_address.get(address)
            assert ctx.get(dut.known) == (register is not None)
            writable = register is not None and register.access is Access.READ_WRITE
            assert ctx.get(dut.writable) == writable
            if register is not None:
                expected = read_only.get(register.name.name, kept(register, register.reset))
                assert ctx.get(dut.read_data) == expected, address

    simulate(dut, bench)


def test_writes_keep_the_width_and_the_sign():
    dut = Registers()
    rng = Random(1)

    async def bench(ctx):
        expected = {register.name: kept(register, register.reset) for register in REGISTERS
                    if register.access is Access.READ_WRITE}
        ctx.set(dut.en, 1)
        for _ in range(300):
            register = rng.choice(REGISTERS)
            value = rng.choice((rng.randrange(1 << 32), 0, MASK, 1 << (register.width - 1)))
            ctx.set(dut.address, register.name)
            ctx.set(dut.write_data, value)
            ctx.set(dut.write, 1)
            await ctx.tick()
            ctx.set(dut.write, 0)
            ctx.set(dut.write_data, ~value & MASK)
            await ctx.tick()
            if register.name in expected:
                expected[register.name] = kept(register, value)
            for name, stored in expected.items():
                ctx.set(dut.address, name)
                await ctx.tick().repeat(dut.latency)
                assert ctx.get(dut.read_data) == stored
                assert ctx.get(dut.values[name.name.lower()]) & MASK == stored

    simulate(dut, bench)


def test_what_is_read_stays_without_en():
    dut = Registers()

    async def bench(ctx):
        ctx.set(dut.saturations, 1001)
        ctx.set(dut.address, RegisterName.SATURATIONS)
        ctx.set(dut.en, 1)
        await ctx.tick().repeat(dut.latency)
        ctx.set(dut.en, 0)
        ctx.set(dut.saturations, 1002)
        for address in (RegisterName.SATURATIONS, RegisterName.SEED_LO, 255):
            ctx.set(dut.address, address)
            await ctx.tick().repeat(dut.latency + 1)
            assert (ctx.get(dut.read_data), ctx.get(dut.known), ctx.get(dut.writable)) == (
                1001, 1, 0)
        ctx.set(dut.en, 1)
        await ctx.tick()
        assert not ctx.get(dut.known)

    simulate(dut, bench)
