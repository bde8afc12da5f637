//! Small models of every kind against independent computations: SciPy's DOP853 at rtol 1e-13 for
//! runs (derivatives worked out by hand), SciPy's Nelder–Mead or BFGS for fits.

use nodec::Model;

const TIGHT: &str = "\nsolve { method = dopri5, rtol = 1e-10, atol = 1e-12 }\n";

/// The values of each name at the end of the run lie within 1e-7 (relative, or absolute below 1).
#[track_caller]
fn check(text: &str, expected: &[(&str, &[f64])]) {
    let model = Model::parse(&format!("{text}{TIGHT}")).unwrap();
    let solution = model.bind().build().unwrap().solve().unwrap();
    for (name, values) in expected {
        let found = solution.end(name).unwrap();
        assert_eq!(found.len(), values.len(), "{name}");
        for (found, value) in found.iter().zip(*values) {
            let error = (found - value).abs() / value.abs().max(1.0);
            assert!(error < 1e-7, "{name}: {found}, expected {value}");
        }
    }
}
#[test]
fn pendulum() {
    check(
        "time t in 0..10
param g=9.81, L=1.5
state th = 1.2, th' = 0.3
th'' = -g/L*sin(th)
channel w' = th'^2",
        &[("th", &[-0.503625585349]), ("w", &[39.2176411881])],
    );
}

#[test]
fn double_pendulum() {
    check(
        "time t in 0..5
const g=9.81
state a=1.0, a'=0.0, b=0.5, b'=0.1
let d = a - b
let den = 3 - cos(2*d)
a'' = (-3*g*sin(a) - g*sin(a-2*b) - 2*sin(d)*(b'^2 + a'^2*cos(d)))/den
b'' = 2*sin(d)*(2*a'^2 + 2*g*cos(a) + b'^2*cos(d))/den",
        &[("a", &[0.340493869935]), ("b", &[0.536723938286])],
    );
}

#[test]
fn two_compartments_with_the_area_under_the_curve() {
    check(
        "time t in 0..24
param ka=1.2,ke=0.2,k12=0.3,k21=0.15
state d=100,c=0,p=0
d'=-ka*d
c'=ka*d-(ke+k12)*c+k21*p
p'=k12*c-k21*p
channel auc' = c",
        &[("c", &[5.71444779892]), ("p", &[17.1430089627]), ("auc", &[385.712716192])],
    );
}

#[test]
fn kepler_from_its_hamiltonian() {
    check(
        "const e=0.6
time t in 0..10
state q:[2]=[1-e,0]
state p:[2]=[0,sqrt((1+e)/(1-e))]
let H = dot(p,p)/2 - 1/norm(q)
q' = grad(H,p)
p' = -grad(H,q)
output E = H(end)
plot q[1] vs q[0]",
        &[("q", &[-1.53502359191, -0.283668406499]), ("p", &[0.227150732077, -0.479187758203])],
    );
}

#[test]
fn coupled_oscillators() {
    check(
        "const N=4
const K=[[2,-1,0,0],[-1,2,-1,0],[0,-1,2,-1],[0,0,-1,2]]
time t in 0..7
state x:[4]=[1,0,-0.5,0.25], x'=[0,0,0,0.1]
x''=-K @ x",
        &[("x", &[-0.0615849857484, -0.257532380678, -0.0839986305045, 0.298219151343])],
    );
}

#[test]
fn phase_oscillators_by_comprehension() {
    check(
        "const N=5
time t in 0..6
state th:[N]=[0.3*i^2 for i in 0..N]
const w=[0.1,0.5,-0.2,0.3,0.7]
fn couple(d)=sin(d)
th'=[w[i]+0.8/N*sum(couple(th[j]-th[i]) for j in 0..N) for i in 0..N]",
        &[("th", &[1.95607164723, 2.52009886108, 1.53246640772, 2.3511905718, 9.04017251217])],
    );
}

#[test]
fn backwards_in_time() {
    check(
        "time t in 0..-5
state x=1,y=0.5
x'=0.3*x-y+t
y'=x*cos(t)
channel c'=x*y",
        &[("x", &[18.7494909186]), ("y", &[9.08346626912]), ("c", &[-156.709441422])],
    );
}

#[test]
fn a_matrix_of_unknowns() {
    check(
        "time t in 0..2
state A:[2,2]=[[1,0],[0,1]]
const B=[[0.1,0.7],[-0.4,-0.2]]
A' = B @ A + 0.1*A.T",
        &[("A", &[0.953458521363, 1.09665396655, -0.581412926177, 0.358718371538])],
    );
}

#[test]
fn operators_of_vector_analysis_along_a_run() {
    check(
        "time t in 0..3
state z:[2]=[1.0,0.5]
z' = [sin(z[1])*z[0], -z[0]^2 + t*z[1]]
channel dv' = div(z')
channel jf' = jac_frob2(z')
channel z2' = sumsq(z'')
channel z3' = sumsq(z''')
channel lp' = laplacian(sin(z[0])*z[1]^2 + t, z)
channel hv' = sum(hvp(z[0]^3*z[1]^2, z, [1.0, 2.0]))
channel jv' = sum(jvp(z', z, [0.3, -0.7]))
channel vj' = dot(vjp(z', z, [0.3, -0.7]), [1.0, 2.0])
channel gt' = grad(z[0]*t^2, t)
channel jj' = jac(z', z)[1, 0]
channel nn' = grad(sumsq(grad(z[0]^3*z[1], z)), z)[0]",
        &[
            ("z", &[0.562386433898, -59.4395827398]),
            ("dv", &[3.92443393942]),
            ("jf", &[19.0576817121]),
            ("z2", &[51765.9334341]),
            ("z3", &[13321903.0135]),
            ("lp", &[-331.644286056]),
            ("hv", &[2000.68509241]),
            ("jv", &[-5.37730934988]),
            ("vj", &[-2.70602017271]),
            ("gt", &[5.71801170469]),
            ("jj", &[-4.52861623485]),
            ("nn", &[4095.08103974]),
        ],
    );
}

#[test]
fn a_derivative_varies_the_name_it_is_given() {
    check(
        "time t in 0..4
state x=1.0
let a = x^2
let b = x^2
const one = 3.0
param k = 0.5
fn f(x, k) = grad(x^2*k, x)
x' = -k*x
channel c1' = grad(a*b, a)
channel c2' = grad(a*b + x, x)
channel c3' = grad(one*x + 3.0*x, one)
channel c4' = f(k, x)
channel c5' = a'
channel c6' = (a*t)''
channel c7' = grad(grad(x^3*k, x), k)
channel c8' = grad(a*x, a)
channel c9' = x'*b'
channel c10' = grad(x', k)
channel c11' = grad(x'*x, x)
channel c12' = grad(t*x', t)",
        &[
            ("x", &[0.135335283237]),
            ("c1", &[0.981684361111]),
            ("c2", &[6.66005666086]),
            ("c3", &[1.72932943353]),
            ("c4", &[1.72932943353]),
            ("c5", &[-0.981684361111]),
            ("c6", &[-1.05494691667]),
            ("c7", &[2.94505308333]),
            ("c8", &[1.72932943353]),
            ("c9", &[0.332507082608]),
            ("c10", &[-1.72932943353]),
            ("c11", &[-1.72932943353]),
            ("c12", &[-0.864664716763]),
        ],
    );
}

/// The influenza outbreak in a boarding school, 1978: boys in bed, day by day. The objective at the
/// start values and at the optimum by SciPy (DOP853 at rtol 1e-10, then Nelder–Mead).
#[test]
fn an_epidemic() {
    let folder = std::env::temp_dir().join(format!("nodec-models-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let counts = [3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4];
    let rows: String = counts.iter().enumerate().map(|(day, bed)| format!("{day},{bed}\n")).collect();
    std::fs::write(folder.join("flu.csv"), format!("day,in_bed\n{rows}")).unwrap();
    let text = "
        data flu = csv(\"flu.csv\") { day: [T], in_bed: [T] }
        const N = 763
        param beta in positive = 1.7, gamma in positive = 0.45, s in positive = 20.0
        time t in 0..13
        state S = N - 1.0, I = 1.0
        S' = -beta*S*I/N
        I' = beta*S*I/N - gamma*I
        flu.in_bed ~ normal(I(flu.day), s)
        solve { method = dopri5, rtol = 1e-9, atol = 1e-9 }
    ";
    let model = Model::from_text("sir.node", text, folder.clone()).unwrap();
    let at = |beta: f64, gamma: f64, s: f64| {
        let run = model.bind().set("beta", beta).set("gamma", gamma).set("s", s).build().unwrap();
        run.gradient().unwrap()
    };
    assert!((at(1.7, 0.45, 20.0).value - 93.316610588).abs() < 1e-5);
    let best = at(1.96853434, 0.47193427, 18.05153303);
    assert!((best.value - 60.370368041).abs() < 1e-6);
    for param in ["beta", "gamma", "s"] {
        let slope = best.get(param).unwrap()[0];
        assert!(slope.abs() < 1e-2, "{param}: {slope}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// z'' = z for z' = -z, so the channel is 1 - 1/e, and the integral of e^(-2t) = (1 - e^-2)/2. Closed forms.
#[test]
fn second_primes_without_any_other_operator() {
    check("time t in 0..1\nstate z = 1\nz' = -z\nchannel w' = z''", &[("w", &[0.632120558829])]);
    check(
        "time t in 0..1\nstate z: [2] = [1, 0]\nz' = -z\nchannel w' = sumsq(z'')",
        &[("w", &[0.432332358382])],
    );
}
