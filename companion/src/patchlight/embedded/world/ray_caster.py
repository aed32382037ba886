"""The renderer's kernels: a ray caster compiled by numba.

It casts one ray per pixel and three more at edges, with soft shadows from a disk light, ambient occlusion from
bounding spheres, and one reflection bounce on metal. All kernels are in one file because numba's cache notices changes
to a function's own file, but not to the files of the functions it calls.

`table` has one row per object: shape, x, y, z, half width, half height, cos yaw, sin yaw, r, g, b, metal, bounding
radius.
"""

import math

import numpy as np
from numba import njit

SPHERE, CUBE, CYLINDER = 0, 1, 2
TILE = 14
TONE_LEVELS = 4096
_FAR = 1e9
_SHADOW_RAYS = 6
_OCCLUSION_REACH = 3.0  # in units of the object's half width


@njit(cache=True, fastmath=True)
def _hash(a, b, c):
    h = (a * 374761393 + b * 668265263 + c * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFFFF) / 16777216.0


@njit(cache=True, fastmath=True)
def _hit(table, i, px, py, pz, dx, dy, dz):
    """Return the nearest hit on object `i` of `table` as (t, nx, ny, nz); t = _FAR if there is none."""
    ox, oy, oz = px - table[i, 1], py - table[i, 2], pz - table[i, 3]
    b = ox * dx + oy * dy + oz * dz
    c = ox * ox + oy * oy + oz * oz - table[i, 12] * table[i, 12]
    disc = b * b - c
    if disc <= 0.0 or (b > 0.0 and c > 0.0):
        return _FAR, 0.0, 0.0, 0.0
    if table[i, 0] == SPHERE:
        t = -b - math.sqrt(disc)
        if t < 1e-4:
            return _FAR, 0.0, 0.0, 0.0
        r = table[i, 12]
        return t, (ox + t * dx) / r, (oy + t * dy) / r, (oz + t * dz) / r
    if table[i, 0] == CUBE:
        cy, sy = table[i, 6], table[i, 7]
        lx, ly = cy * ox + sy * oy, -sy * ox + cy * oy
        ex, ey = cy * dx + sy * dy, -sy * dx + cy * dy
        h = table[i, 4]
        entry, far, axis, sign = -_FAR, _FAR, 0, 1.0
        for k in range(3):
            p = lx if k == 0 else (ly if k == 1 else oz)
            d = ex if k == 0 else (ey if k == 1 else dz)
            if abs(d) < 1e-9:
                if abs(p) > h:
                    return _FAR, 0.0, 0.0, 0.0
                continue
            t0, t1 = (-h - p) / d, (h - p) / d
            s = -1.0
            if t0 > t1:
                t0, t1 = t1, t0
                s = 1.0
            if t0 > entry:
                entry, axis, sign = t0, k, s
            far = min(far, t1)
        if entry > far or entry < 1e-4:
            return _FAR, 0.0, 0.0, 0.0
        if axis == 2:
            return entry, 0.0, 0.0, sign
        if axis == 0:
            return entry, sign * cy, sign * sy, 0.0
        return entry, -sign * sy, sign * cy, 0.0
    w, h = table[i, 4], table[i, 5]
    best, nx, ny, nz = _FAR, 0.0, 0.0, 0.0
    a = dx * dx + dy * dy
    if a > 1e-12:
        bb = ox * dx + oy * dy
        cc = ox * ox + oy * oy - w * w
        dd = bb * bb - a * cc
        if dd > 0.0:
            t = (-bb - math.sqrt(dd)) / a
            if t > 1e-4 and abs(oz + t * dz) <= h:
                best, nx, ny, nz = t, (ox + t * dx) / w, (oy + t * dy) / w, 0.0
    if abs(dz) > 1e-9:
        s = -1.0 if dz > 0.0 else 1.0
        t = (s * h - oz) / dz
        qx, qy = ox + t * dx, oy + t * dy
        if 1e-4 < t < best and qx * qx + qy * qy <= w * w:
            best, nx, ny, nz = t, 0.0, 0.0, s
    return best, nx, ny, nz


@njit(cache=True, fastmath=True)
def _nearest(table, near, px, py, pz, dx, dy, dz):
    """Return (t, hit, nx, ny, nz) of the nearest hit along a ray. hit: an object's index, -1 for ground, -2 for sky."""
    best, which, nx, ny, nz = _FAR, -2, 0.0, 0.0, 1.0
    if dz < -1e-6:
        best, which = -pz / dz, -1
    for i in near:
        t, ax, ay, az = _hit(table, i, px, py, pz, dx, dy, dz)
        if t < best:
            best, which, nx, ny, nz = t, i, ax, ay, az
    return best, which, nx, ny, nz


@njit(cache=True, fastmath=True)
def _shadow(table, near, px, py, pz, light, spread, skip, turn):
    """Return the share of the disk light visible from a point, 0..1; `skip` is the object that the point is on."""
    lx, ly, lz = light[0], light[1], light[2]
    close = 0
    for i in near:
        ox, oy, oz = table[i, 1] - px, table[i, 2] - py, table[i, 3] - pz
        along = ox * lx + oy * ly + oz * lz
        if along < -table[i, 12]:
            continue
        miss = ox * ox + oy * oy + oz * oz - along * along
        reach = table[i, 12] + spread * max(along, 0.0) + 0.02
        if miss < reach * reach:
            close += 1
    if close == 0:
        return 1.0
    # Two unit vectors perpendicular to the light's direction.
    ux, uy = -ly, lx
    norm = math.sqrt(ux * ux + uy * uy) + 1e-9
    ux, uy = ux / norm, uy / norm
    vx, vy, vz = -uy * lz, ux * lz, uy * lx - ux * ly
    lit = 0.0
    for k in range(_SHADOW_RAYS):
        r = spread * math.sqrt((k + 0.5) / _SHADOW_RAYS)
        angle = 2.399963 * k + 6.2831853 * turn
        a, b = r * math.cos(angle), r * math.sin(angle)
        dx, dy, dz = lx + a * ux + b * vx, ly + a * uy + b * vy, lz + b * vz
        n = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
        blocked = False
        for i in near:
            t, _, _, _ = _hit(table, i, px, py, pz, dx * n, dy * n, dz * n)
            if t < _FAR and not (i == skip and t < 1e-3):
                blocked = True
                break
        if not blocked:
            lit += 1.0
    return lit / _SHADOW_RAYS


@njit(cache=True, fastmath=True)
def _sky(dx, dy, dz, light, sky):
    """Return the brightness of the studio backdrop along a ray: a gradient and two softboxes."""
    base = sky[2] * (1.0 + 0.55 * max(dz, 0.0))
    towards = dx * light[0] + dy * light[1] + dz * light[2]
    if towards > 0.93:
        base += sky[1] * 2.6 * min((towards - 0.93) / 0.03, 1.0)
    across = -dx * light[0] - dy * light[1] + 0.6 * dz
    if across > 0.85:
        base += sky[1] * 0.5 * min((across - 0.85) / 0.1, 1.0)
    return base


@njit(cache=True, fastmath=True)
def _occlusion(table, near, px, py, pz, nx, ny, nz, skip):
    """Return the share of ambient light, 0..1, that the bounding spheres near a point do not block."""
    open_share = 1.0
    for i in near:
        if i == skip:
            continue
        ox, oy, oz = table[i, 1] - px, table[i, 2] - py, table[i, 3] - pz
        d2 = ox * ox + oy * oy + oz * oz
        r2 = table[i, 4] * table[i, 4]
        if d2 > _OCCLUSION_REACH**2 * r2:
            continue
        d = math.sqrt(d2) + 1e-6
        facing = (ox * nx + oy * ny + oz * nz) / d
        if facing > -0.2:
            open_share *= 1.0 - min(0.75, (0.35 + 0.65 * max(facing, 0.0)) * (r2 / d2 - 1.0 / _OCCLUSION_REACH**2))
    return open_share


@njit(cache=True, fastmath=True)
def _light_surface(table, near, light, sky, which, px, py, pz, nx, ny, nz, dx, dy, dz, turn, soft, mirror, out):
    """Write the linear RGB colour of a point on object `which` (-1: ground), seen along (dx, dy, dz), to `out`.

    `mirror` is the colour that a perfect mirror would show there; `soft` enables cast shadows.
    """
    ax, ay, az = px + nx * 2e-3, py + ny * 2e-3, pz + nz * 2e-3
    lambert = max(nx * light[0] + ny * light[1] + nz * light[2], 0.0)
    lit = 1.0
    if soft and lambert > 0.0:
        lit = _shadow(table, near, ax, ay, az, light, sky[0], which, turn)
    occlusion = _occlusion(table, near, px, py, pz, nx, ny, nz, which)
    if which == -1:
        # Darken the ground with distance to hide the horizon line.
        fade = min(1.0, max(0.0, (math.sqrt(px * px + py * py) - 5.0) / 9.0))
        light_sum = sky[1] * lambert * lit + sky[2] * occlusion
        for k in range(3):
            out[k] = sky[3 + k] * light_sum * (1.0 - 0.35 * fade)
        return
    hx, hy, hz = light[0] - dx, light[1] - dy, light[2] - dz
    norm = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
    half = max(0.0, (nx * hx + ny * hy + nz * hz) / norm)
    sky_part = sky[2] * occlusion * (0.65 + 0.35 * nz)
    # Light reflected by the ground onto faces that point down or sideways.
    sky_part += 0.30 * sky[3] * (sky[1] * light[2] + sky[2]) * (0.5 - 0.5 * nz) * occlusion
    if table[which, 11] == 0.0:
        spec = 0.10 * sky[1] * lit * half**18
        for k in range(3):
            out[k] = table[which, 8 + k] * (sky[1] * 0.82 * lambert * lit + sky_part) + spec
        return
    along = dx * nx + dy * ny + dz * nz
    fresnel = (1.0 + along) ** 5 if along < 0.0 else 0.0
    spec = 1.1 * sky[1] * lit * half**90
    for k in range(3):
        tint = table[which, 8 + k] * 0.85 + 0.08
        diffuse = table[which, 8 + k] * (0.30 * sky[1] * lambert * lit + 0.40 * sky_part)
        out[k] = diffuse + mirror[k] * (tint * 0.85 + (0.9 - 0.85 * tint) * fresnel) + spec


@njit(cache=True, fastmath=True)
def _trace_reflection(table, near, light, sky, px, py, pz, dx, dy, dz, out):
    """Write the colour of a reflected ray to `out`: one bounce, no cast shadows, metal reflects only the sky."""
    t, which, nx, ny, nz = _nearest(table, near, px, py, pz, dx, dy, dz)
    if which == -2:
        out[:] = _sky(dx, dy, dz, light, sky) * 0.62
        return
    along = 2.0 * (dx * nx + dy * ny + dz * nz)
    mirror = np.full(3, _sky(dx - along * nx, dy - along * ny, dz - along * nz, light, sky) * 0.6)
    x, y, z = px + t * dx, py + t * dy, pz + t * dz
    _light_surface(table, near, light, sky, which, x, y, z, nx, ny, nz, dx, dy, dz, 0.0, False, mirror, out)


@njit(cache=True, fastmath=True)
def _trace(table, near, everything, light, sky, px, py, pz, dx, dy, dz, turn, mirror, out):
    """Write the colour seen along a camera ray to `out`; return the index of the object hit (-1 ground, -2 sky)."""
    t, which, nx, ny, nz = _nearest(table, near, px, py, pz, dx, dy, dz)
    if which == -2:
        out[:] = _sky(dx, dy, dz, light, sky) * 0.62
        return which
    x, y, z = px + t * dx, py + t * dy, pz + t * dz
    if which >= 0 and table[which, 11] != 0.0:
        along = 2.0 * (dx * nx + dy * ny + dz * nz)
        rx, ry, rz = dx - along * nx, dy - along * ny, dz - along * nz
        _trace_reflection(
            table, everything, light, sky, x + nx * 2e-3, y + ny * 2e-3, z + nz * 2e-3, rx, ry, rz, mirror
        )
    _light_surface(table, near, light, sky, which, x, y, z, nx, ny, nz, dx, dy, dz, turn, True, mirror, out)
    return which


@njit(cache=True, fastmath=True)
def _influence(table, basis, tan_half, light, sky, width, height):
    """Return a screen box (x0, x1, y0, y1 in pixels) per object. Outside its box, an object affects no pixel."""
    n = table.shape[0]
    boxes = np.empty((n, 4))
    focal = height / 2 / tan_half
    for i in range(n):
        boxes[i] = (_FAR, -_FAR, _FAR, -_FAR)
        bound = table[i, 12]
        last = (table[i, 3] + bound) / light[2]
        for step in range(4):
            s = last * step / 3
            reach = bound + sky[0] * s + 0.02 if step else max(bound, _OCCLUSION_REACH * table[i, 4])
            reach += last / 6
            x = table[i, 1] - s * light[0] - basis[0, 0]
            y = table[i, 2] - s * light[1] - basis[0, 1]
            z = table[i, 3] - s * light[2] - basis[0, 2]
            depth = x * basis[3, 0] + y * basis[3, 1] + z * basis[3, 2]
            scale = focal / max(depth - reach, 0.1)
            u = width / 2 + focal / depth * (x * basis[1, 0] + y * basis[1, 1] + z * basis[1, 2])
            v = height / 2 - focal / depth * (x * basis[2, 0] + y * basis[2, 1] + z * basis[2, 2])
            boxes[i, 0] = min(boxes[i, 0], u - reach * scale)
            boxes[i, 1] = max(boxes[i, 1], u + reach * scale)
            boxes[i, 2] = min(boxes[i, 2], v - reach * scale)
            boxes[i, 3] = max(boxes[i, 3], v + reach * scale)
    return boxes


@njit(cache=True, fastmath=True)
def _ray_color(table, near, everything, basis, tan_half, light, sky, x, y, width, height, turn, mirror, out):
    """Write the colour at pixel position (x, y) to `out`; return the index of the visible object, or -1."""
    u = (2.0 * x - width) / height * tan_half
    v = (1.0 - 2.0 * y / height) * tan_half
    dx = basis[3, 0] + u * basis[1, 0] + v * basis[2, 0]
    dy = basis[3, 1] + u * basis[1, 1] + v * basis[2, 1]
    dz = basis[3, 2] + u * basis[1, 2] + v * basis[2, 2]
    n = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
    ex, ey, ez = basis[0, 0], basis[0, 1], basis[0, 2]
    seen = _trace(table, near, everything, light, sky, ex, ey, ez, dx * n, dy * n, dz * n, turn, mirror, out)
    return max(seen, -1)


@njit(cache=True, fastmath=True)
def cast_image(table, basis, tan_half, light, sky, salt, tone, width, height):
    """Return an image [height, width, 3] uint8 and object ids [height, width] int8. Sides must be multiples of TILE.

    basis [4, 3]: eye, right, up, forward. sky [6]: the light's spread, key light, ambient light, ground colour (3).
    tone [TONE_LEVELS]: 8-bit sRGB levels for linear light from 0 to 2. salt: seed of the noise.
    """
    n = table.shape[0]
    linear = np.empty((height, width, 3))
    ids = np.empty((height, width), np.int8)
    color, mirror = np.zeros(3), np.zeros(3)
    boxes = _influence(table, basis, tan_half, light, sky, width, height)
    everything = np.arange(n)
    listed = np.empty(n, np.int64)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            count = 0
            for i in range(n):
                if boxes[i, 0] < left + TILE and boxes[i, 1] > left and boxes[i, 2] < top + TILE and boxes[i, 3] > top:
                    listed[count] = i
                    count += 1
            near = listed[:count]
            for row in range(top, top + TILE):
                for col in range(left, left + TILE):
                    turn = _hash(row, col, salt)
                    x, y = col + 0.5, row + 0.5
                    ids[row, col] = _ray_color(
                        table, near, everything, basis, tan_half, light, sky, x, y, width, height, turn, mirror, color
                    )
                    linear[row, col] = color
    for row in range(height):
        for col in range(width):
            here = ids[row, col]
            if (
                (row == 0 or ids[row - 1, col] == here)
                and (row == height - 1 or ids[row + 1, col] == here)
                and (col == 0 or ids[row, col - 1] == here)
                and (col == width - 1 or ids[row, col + 1] == here)
            ):
                continue
            for sample in range(3):
                x = col + (0.15 if sample == 0 else (0.85 if sample == 1 else 0.4))
                y = row + (0.35 if sample == 0 else (0.6 if sample == 1 else 0.9))
                turn = _hash(row, col, salt + 1 + sample)
                _ray_color(
                    table, everything, everything, basis, tan_half, light, sky, x, y, width, height, turn, mirror, color
                )
                # Running mean of four samples, clamped so that a single highlight does not fringe an edge.
                for k in range(3):
                    old = min(linear[row, col, k], 1.2)
                    linear[row, col, k] = old + (min(color[k], 1.2) - old) / (sample + 2.0)
    image = np.empty((height, width, 3), np.uint8)
    for row in range(height):
        for col in range(width):
            grain = (_hash(col, row, salt + 17) - 0.5) * 3.0
            fx, fy = (col + 0.5) / width - 0.5, (row + 0.5) / height - 0.5
            vignette = 1.0 - 0.32 * (fx * fx + fy * fy)
            for k in range(3):
                level = int(min(max(linear[row, col, k] * vignette, 0.0), 1.9999) * (TONE_LEVELS / 2))
                image[row, col, k] = np.uint8(min(max(tone[level] + grain, 0.0), 255.0))
    return image, ids
