import './page.css';
import { startLivePage } from './page.ts';

const root = document.getElementById('live');
if (root) startLivePage(root, new URL(window.location.href));
