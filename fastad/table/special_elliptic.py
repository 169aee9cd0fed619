"""Rows of scipy.special for elliptic integrals and functions and the arithmetic-geometric mean.

All derivatives go through Carlson's symmetric integrals (DLMF, chapter 19), which have no removable
singularities. Those SciPy lacks are values of one helper, `carlson(k, x, y, z)`: the integral over t > 0 of
(t + x)**(-k1/2) * (t + y)**(-k2/2) * (t + z)**(-k3/2), where k1, k2, k3 are the decimal digits of k.
"""

from .op import INF, POSITIVE, REAL, UNIT, UNKNOWN, Op
from .unknown import unknown, unknown_second

BELOW_ONE = (-INF, 1.0)

# sin and cos squared of the amplitude x, and 1 - y sin(x)**2; half-turns of the amplitude, each adding two
# complete integrals.
S = "sin(x - PI*rint(x / PI))"
S2 = "(sin(x)*sin(x))"
C2 = "(cos(x)*cos(x))"
D2 = "(1.0 - y*sin(x)*sin(x))"
TURNS = "rint(x / PI)"

# Derivatives of the incomplete integrals by the parameter.
F_YY = (f"(0.375*{S}*{S2}*{S2}*carlson(151.0, {C2}, {D2}, 1.0)"
        f" + mulz(0.75*{TURNS}, carlson(151.0, 0.0, 1.0 - y, 1.0)))")
E_Y = f"(-{S}*{S2}*elliprd({C2}, {D2}, 1.0) / 6.0 - mulz({TURNS}, elliprd(0.0, 1.0 - y, 1.0)) / 3.0)"
E_YY = (f"(-0.125*{S}*{S2}*{S2}*carlson(133.0, {C2}, {D2}, 1.0)"
        f" - mulz(0.25*{TURNS}, carlson(133.0, 0.0, 1.0 - y, 1.0)))")

F_YYY = (f"(0.9375*{S}*{S2}*{S2}*{S2}*carlson(171.0, {C2}, {D2}, 1.0)"
         f" + mulz(1.875*{TURNS}, carlson(171.0, 0.0, 1.0 - y, 1.0)))")

# Jacobi's sn, cn, dn, and the second derivatives of the amplitude by argument and parameter, and by the
# parameter twice.
SN, CN, DN = "ellipj_0(x, y)", "ellipj_1(x, y)", "ellipj_2(x, y)"
BY_M = "ellipj_dm(x, y)"
BY_XM = f"(-{SN}*(0.5*{SN} + y*{CN}*{BY_M}) / {DN})"
BY_MM = (f"(-{BY_M}*{SN}*(0.5*{SN} + y*{CN}*{BY_M}) / ({DN}*{DN}) - 0.5*{SN}*{SN}*{BY_M} / ({DN}*{DN})"
         f" - {DN}*ellipkinc_dmm(ellipj_3(x, y), y))")

AGM = "(2.0*ONE_OVER_PI / 3.0)"

ELLIPTIC = (
    # Legendre's integrals by the parameter m
    Op("ellipk", 1, v="special.ellipk(x)", dx="elliprd(0.0, 1.0, 1.0 - x) / 6.0",
       dxx="0.140625*PI*hyp2f1(0.5, 0.5, 3.0, x) / ((1.0 - x)*(1.0 - x))", domain=BELOW_ONE, scipy="ellipk",
       sym="elliptic_k(x)"),
    Op("ellipkm1", 1, v="special.ellipkm1(x)", dx="-elliprd(0.0, 1.0, x) / 6.0",
       dxx="0.375*carlson(115.0, 0.0, 1.0, x)", domain=POSITIVE, scipy="ellipkm1", sym="elliptic_k(1 - x)"),
    Op("ellipe", 1, v="special.ellipe(x)", dx="-elliprd(0.0, 1.0 - x, 1.0) / 6.0",
       dxx="-0.046875*PI*hyp2f1(0.5, 1.5, 3.0, x) / (1.0 - x)", domain=BELOW_ONE, scipy="ellipe",
       sym="elliptic_e(x)"),
    Op("ellipkinc", 2, v="special.ellipkinc(x, y)", dx=f"1.0 / sqrt({D2})", dy="ellipkinc_dm(x, y)",
       dxx=f"y*sin(x)*cos(x) / ({D2}*sqrt({D2}))", dxy=f"0.5*{S2} / ({D2}*sqrt({D2}))", dyy=F_YY,
       domain=(REAL, BELOW_ONE), scipy="ellipkinc", sym="elliptic_f(x, y)"),
    Op("ellipeinc", 2, v="special.ellipeinc(x, y)", dx=f"sqrt({D2})", dy=E_Y,
       dxx=f"-y*sin(x)*cos(x) / sqrt({D2})", dxy=f"-0.5*{S2} / sqrt({D2})", dyy=E_YY,
       domain=(REAL, BELOW_ONE), scipy="ellipeinc", sym="elliptic_e(x, y)"),

    # First and second derivative of ellipkinc by the parameter
    Op("ellipkinc_dm", 2, v="ellipkinc_dm(x, y)", dx=f"0.5*{S2} / ({D2}*sqrt({D2}))",
       dy="ellipkinc_dmm(x, y)", dxx=f"sin(x)*cos(x)*(1.0 + 0.5*y*{S2}) / ({D2}*{D2}*sqrt({D2}))",
       dxy=f"0.75*{S2}*{S2} / ({D2}*{D2}*sqrt({D2}))", dyy=F_YYY, domain=(REAL, BELOW_ONE),
       sym="Integral(sin(t)**2/(1 - y*sin(t)**2)**Rational(3, 2), (t, 0, x))/2"),
    Op("ellipkinc_dmm", 2, v="ellipkinc_dmm(x, y)", dx=f"0.75*{S2}*{S2} / ({D2}*{D2}*sqrt({D2}))", dy=F_YYY,
       dxx=f"3.0*{S2}*sin(x)*cos(x)*(1.0 + 0.25*y*{S2}) / ({D2}*{D2}*{D2}*sqrt({D2}))",
       dxy=f"1.875*{S2}*{S2}*{S2} / ({D2}*{D2}*{D2}*sqrt({D2}))",
       dyy=f"(3.28125*{S}*{S2}*{S2}*{S2}*{S2}*carlson(191.0, {C2}, {D2}, 1.0) + mulz(6.5625"
           f"*{TURNS}, carlson(191.0, 0.0, 1.0 - y, 1.0)))", domain=(REAL, BELOW_ONE),
       sym="3*Integral(sin(t)**4/(1 - y*sin(t)**2)**Rational(5, 2), (t, 0, x))/4"),

    # Jacobi's functions sn, cn, dn and the amplitude, and the derivative of the amplitude by the parameter
    Op("ellipj_0", 2, v="output_4_2(special.ellipj, 0, x, y)", dx=f"{CN}*{DN}", dy=f"{CN}*{BY_M}",
       dxx=f"-v*({DN}*{DN} + y*{CN}*{CN})", dxy=f"{CN}*{BY_XM} - v*{DN}*{BY_M}",
       dyy=f"{CN}*{BY_MM} - v*{BY_M}*{BY_M}", domain=(REAL, UNIT), scipy="ellipj:0", sym="jacobi_sn(x, y)"),
    Op("ellipj_1", 2, v="output_4_2(special.ellipj, 1, x, y)", dx=f"-{SN}*{DN}", dy=f"-{SN}*{BY_M}",
       dxx=f"v*(y*{SN}*{SN} - {DN}*{DN})", dxy=f"-{SN}*{BY_XM} - v*{DN}*{BY_M}",
       dyy=f"-{SN}*{BY_MM} - v*{BY_M}*{BY_M}", domain=(REAL, UNIT), scipy="ellipj:1", sym="jacobi_cn(x, y)"),
    Op("ellipj_2", 2, v="output_4_2(special.ellipj, 2, x, y)", dx=f"-y*{SN}*{CN}", dy=BY_XM,
       dxx=f"y*({SN}*{SN} - {CN}*{CN})*v", dxy=f"y*({SN}*{SN} - {CN}*{CN})*{BY_M} - {SN}*{CN}",
       dyy=f"-(2.0*{SN}*{CN}*{BY_M} + y*({CN}*{CN} - {SN}*{SN})*{BY_M}*{BY_M} + y*{SN}*{CN}*{BY_MM}"
           f" + {BY_XM}*{BY_XM}) / v", domain=(REAL, UNIT), scipy="ellipj:2", sym="jacobi_dn(x, y)"),
    Op("ellipj_3", 2, v="output_4_2(special.ellipj, 3, x, y)", dx=DN, dy=BY_M, dxx=f"-y*{SN}*{CN}", dxy=BY_XM,
       dyy=BY_MM, domain=(REAL, UNIT), scipy="ellipj:3", sym="jacobi_am(x, y)"),
    Op("ellipj_dm", 2, v="ellipj_dm(x, y)", dx=BY_XM, dy=BY_MM,
       dxx=f"y*({SN}*{SN} - {CN}*{CN})*v - {SN}*{CN}", dxy=UNKNOWN, dyy=UNKNOWN, domain=(REAL, UNIT),
       sym="jacobi_dn(x, y)*(x/(2*y) - elliptic_e(jacobi_am(x, y), y)/(2*y*(1 - y))) + jacobi_sn(x, y)"
           "*jacobi_cn(x, y)/(2*(1 - y))"),

    # The arithmetic-geometric mean: pi / (2 RF(0, x*x, y*y))
    Op("agm", 2, v="special.agm(x, y)", dx=f"{AGM}*x*v*v*elliprd(0.0, y*y, x*x)",
       dy=f"{AGM}*y*v*v*elliprd(0.0, x*x, y*y)",
       dxx=f"{AGM}*v*((1.0 + 2.0*{AGM}*x*x*v*elliprd(0.0, y*y, x*x))*v*elliprd(0.0, y*y, x*x) - 4.5*x*x*v"
           "*carlson(115.0, 0.0, y*y, x*x))",
       dxy=f"{AGM}*x*y*v*v*(2.0*{AGM}*v*elliprd(0.0, y*y, x*x)*elliprd(0.0, x*x, y*y) - 1.5"
           "*carlson(133.0, 0.0, y*y, x*x))",
       dyy=f"{AGM}*v*((1.0 + 2.0*{AGM}*y*y*v*elliprd(0.0, x*x, y*y))*v*elliprd(0.0, x*x, y*y) - 4.5*y*y*v"
           "*carlson(115.0, 0.0, x*x, y*y))", domain=POSITIVE, scipy="agm", sym="agm(x, y)"),

    # Carlson's integrals
    Op("elliprc", 2, v="special.elliprc(x, y)", dx="-elliprd(y, y, x) / 6.0", dy="-elliprd(x, y, y) / 3.0",
       dxx="0.375*carlson(115.0, y, y, x)", dxy="0.25*carlson(133.0, y, x, y)", dyy="carlson(133.0, x, y, y)",
       domain=POSITIVE, scipy="elliprc", sym="elliprc(x, y)"),
    Op("elliprf", 3, v="special.elliprf(x, y, z)", dx="-elliprd(y, z, x) / 6.0", dy="-elliprd(x, z, y) / 6.0",
       dz="-elliprd(x, y, z) / 6.0", dxx="0.375*carlson(511.0, x, y, z)", dxy="0.125*carlson(331.0, x, y, z)",
       dxz="0.125*carlson(313.0, x, y, z)", dyy="0.375*carlson(151.0, x, y, z)",
       dyz="0.125*carlson(133.0, x, y, z)", dzz="0.375*carlson(115.0, x, y, z)", domain=POSITIVE,
       scipy="elliprf", sym="elliprf(x, y, z)"),
    Op("elliprd", 3, v="special.elliprd(x, y, z)", dx="-0.75*carlson(313.0, x, y, z)",
       dy="-0.75*carlson(133.0, x, y, z)", dz="-2.25*carlson(115.0, x, y, z)",
       dxx="1.125*carlson(513.0, x, y, z)", dxy="0.375*carlson(333.0, x, y, z)",
       dxz="1.125*carlson(315.0, x, y, z)", dyy="1.125*carlson(153.0, x, y, z)",
       dyz="1.125*carlson(135.0, x, y, z)", dzz="5.625*carlson(117.0, x, y, z)", domain=POSITIVE,
       scipy="elliprd", sym="elliprd(x, y, z)"),
    Op("elliprg", 3, v="special.elliprg(x, y, z)", dx="0.25*elliprf(x, y, z) - x*elliprd(y, z, x) / 12.0",
       dy="0.25*elliprf(x, y, z) - y*elliprd(x, z, y) / 12.0",
       dz="0.25*elliprf(x, y, z) - z*elliprd(x, y, z) / 12.0",
       dxx="-0.125*elliprd(y, z, x) + 0.1875*x*carlson(511.0, x, y, z)",
       dxy="-elliprd(x, z, y) / 24.0 + 0.0625*x*carlson(331.0, x, y, z)",
       dxz="-elliprd(x, y, z) / 24.0 + 0.0625*x*carlson(313.0, x, y, z)",
       dyy="-0.125*elliprd(x, z, y) + 0.1875*y*carlson(151.0, x, y, z)",
       dyz="-elliprd(x, y, z) / 24.0 + 0.0625*y*carlson(133.0, x, y, z)",
       dzz="-0.125*elliprd(x, y, z) + 0.1875*z*carlson(115.0, x, y, z)", domain=POSITIVE, scipy="elliprg",
       sym="elliprg(x, y, z)"),
    Op("elliprj", 4, v="special.elliprj(x, y, z, u)", dx="elliprj_x(x, y, z, u)", dy="elliprj_x(y, x, z, u)",
       dz="elliprj_x(z, x, y, u)", du="elliprj_u(x, y, z, u)", dxx="elliprj_xx(x, y, z, u)",
       dxy="elliprj_xy(x, y, z, u)", dxz="elliprj_xy(x, z, y, u)", dxu="elliprj_xu(x, y, z, u)",
       dyy="elliprj_xx(y, x, z, u)", dyz="elliprj_xy(y, z, x, u)", dyu="elliprj_xu(y, x, z, u)",
       dzz="elliprj_xx(z, x, y, u)", dzu="elliprj_xu(z, x, y, u)", duu="elliprj_uu(x, y, z, u)",
       domain=POSITIVE, scipy="elliprj", sym="elliprj(x, y, z, u)"),
    Op("elliprj_x", 4, v="carlson_integral(3, 1, 1, 2, x, y, z, u)*-0.75", dx="elliprj_xx(x, y, z, u)",
       dy="elliprj_xy(x, y, z, u)", dz="elliprj_xy(x, z, y, u)", du="elliprj_xu(x, y, z, u)",
       **unknown_second(4), domain=POSITIVE,
       sym="-3*Integral((t + x)**Rational(-3, 2)*(t + y)**Rational(-1, 2)*(t + z)**Rational(-1, 2)/(t"
           " + u), (t, 0, oo))/4"),
    Op("elliprj_u", 4, v="carlson_integral(1, 1, 1, 4, x, y, z, u)*-1.5", dx="elliprj_xu(x, y, z, u)",
       dy="elliprj_xu(y, x, z, u)", dz="elliprj_xu(z, x, y, u)", du="elliprj_uu(x, y, z, u)",
       **unknown_second(4), domain=POSITIVE,
       sym="-3*Integral((t + x)**Rational(-1, 2)*(t + y)**Rational(-1, 2)*(t + z)**Rational(-1, 2)/(t"
           " + u)**2, (t, 0, oo))/2"),
    Op("elliprj_xx", 4, v="carlson_integral(5, 1, 1, 2, x, y, z, u)*1.125", **unknown("xyzu", 4),
       domain=POSITIVE,
       sym="9*Integral((t + x)**Rational(-5, 2)*(t + y)**Rational(-1, 2)*(t + z)**Rational(-1, 2)/(t"
           " + u), (t, 0, oo))/8"),
    Op("elliprj_xy", 4, v="carlson_integral(3, 3, 1, 2, x, y, z, u)*0.375", **unknown("xyzu", 4),
       domain=POSITIVE,
       sym="3*Integral((t + x)**Rational(-3, 2)*(t + y)**Rational(-3, 2)*(t + z)**Rational(-1, 2)/(t"
           " + u), (t, 0, oo))/8"),
    Op("elliprj_xu", 4, v="carlson_integral(3, 1, 1, 4, x, y, z, u)*0.75", **unknown("xyzu", 4),
       domain=POSITIVE,
       sym="3*Integral((t + x)**Rational(-3, 2)*(t + y)**Rational(-1, 2)*(t + z)**Rational(-1, 2)/(t"
           " + u)**2, (t, 0, oo))/4"),
    Op("elliprj_uu", 4, v="carlson_integral(1, 1, 1, 6, x, y, z, u)*3.0", **unknown("xyzu", 4),
       domain=POSITIVE,
       sym="3*Integral((t + x)**Rational(-1, 2)*(t + y)**Rational(-1, 2)*(t + z)**Rational(-1, 2)/(t"
           " + u)**3, (t, 0, oo))"),
    # The integral of the head of this file, for exponents up to 9/2 and by their decimal digits
    Op("carlson", 4, v="carlson(x, y, z, u)", dy="-0.5*floor(x / 100.0)*carlson(x + 200.0, y, z, u)",
       dz="-0.5*(floor(x / 10.0) - 10.0*floor(x / 100.0))*carlson(x + 20.0, y, z, u)",
       du="-0.5*(x - 10.0*floor(x / 10.0))*carlson(x + 2.0, y, z, u)", **unknown_second(4), dx=UNKNOWN,
       domain=((111.0, 111.0), POSITIVE, POSITIVE, POSITIVE), order=(0,),
       sym="Integral((t + y)**(-floor(x/100)/2)*(t + z)**(5*floor(x/100) - floor(x/10)/2)*(t + u)**(5"
           "*floor(x/10) - x/2), (t, 0, oo))"),
)
